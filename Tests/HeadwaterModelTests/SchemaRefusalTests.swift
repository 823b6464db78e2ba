import HeadwaterModel
import Testing

/// One text for each thing that the checker refuses, with a part of the message, or of the help.
struct Refusal: Sendable, CustomTestStringConvertible {
  let text: String
  let says: String
  var testDescription: String { says }

  init(_ says: String, _ text: String) {
    self.says = says
    self.text = text
  }

  /// A text with one collection `C` that has these members.
  static func member(_ says: String, _ members: String) -> Refusal {
    Refusal(says, "schema S\nenum Role { owner, editor }\ncollection C {\n\(members)\n}\n")
  }

  /// As `member`, with a collection `M` to look into: key `p: Principal`, readonly `role`, mutable `name`.
  static func rule(_ says: String, _ rules: String) -> Refusal {
    Refusal(
      says,
      """
      schema S
      enum Role { owner, editor }
      collection M {
        p: Principal @key
        role: Role @readonly
        name: Text
      }
      collection Pair {
        a: Int @key
        b: Int @key
      }
      collection K {
        k: Int @key
        by: M @readonly
      }
      collection C {
        by: M @readonly
        pair: Pair @readonly
        level: Int @readonly
        open: Bool @readonly
        title: Text
        spec: JSON @readonly
      \(rules)
      }

      """)
  }
}

@Suite struct SchemaRefusalTests {
  static let names = [
    Refusal("a schema begins with", "collection C { a: Int }"),
    Refusal("a schema begins with", ""),
    Refusal("a text holds one schema", "schema S\nschema T"),
    Refusal("this is an upgrade", "schema S from 00"),
    Refusal("did you mean 'collection'?", "schema S\ncolection C { a: Int }"),
    Refusal("declared twice", "schema S\nenum A { x }\nrecord A { a: Int }"),
    Refusal("two fields 'a'", "schema S\ncollection C {\n  a: Int\n  a: Text\n}"),
    Refusal("two cases 'x'", "schema S\nenum A { x, x }"),
    Refusal("an enum has one case at least", "schema S\nenum A { }"),
    Refusal("a record has one field at least", "schema S\nrecord A { }"),
    Refusal("'Text' is a type of the language", "schema S\ncollection Text { a: Int }"),
    Refusal("is a word of the language", "schema S\ncollection C {\n  in: Int\n}"),
    Refusal("between the cases", "schema S\nenum A { x y }"),
    Refusal("a record has no rules", "schema S\nrecord R {\n  a: Int\n  allow create\n}"),
    Refusal("'strict' stands before", "schema S\ncollection C strict { a: Int }"),
    Refusal("expected 'collection' after", "schema S\nstrict enum C { a }"),
    Refusal("a rule has no doc comment", "schema S\n/// all\nallow everything"),
    Refusal("on a line of its own", "schema S\ncollection C {\n  a: Int /// doc\n  b: Int\n}"),
    Refusal("the end of the text has no doc", "schema S\n/// end"),
    Refusal("a record holds registers", "schema S\nrecord R { a: Counter }"),
    Refusal("contains itself", "schema S\nrecord R { a: Q? }\nrecord Q { b: R }"),
  ]

  static let types = [
    Refusal.member("did you mean 'Text'?", "a: Txet"),
    .member("there is no type 'Nothing'", "a: Nothing"),
    .member("'Decimal' takes the number", "a: Decimal"),
    .member("from 1 to 38", "a: Decimal(39, 2)"),
    .member("from 1 to 38", "a: Decimal(0, 0)"),
    .member("from 0 to 4", "a: Decimal(4, 5)"),
    .member("from 1 to 8388608", "a: Text(0)"),
    .member("from 1 to 8388608", "a: Bytes(8388609)"),
    .member("takes one number", "a: Text(1, 2)"),
    .member("takes no numbers", "a: Int(4)"),
    .member("takes no types", "a: Int<Text>"),
    .member("takes one type", "a: Set"),
    .member("takes two types", "a: Map<Text>"),
    .member("an element of 'Set' is never absent", "a: Set<Text?>"),
    .member("an element of 'List' is a scalar", "a: List<Set<Text>>"),
    .member("the key of a Map is a scalar", "a: Map<Float, Int>"),
    .member("the key of a Map is a scalar", "a: Map<C, Int>"),
    .member("'Counter' is never absent", "a: Counter?"),
    .member("one '?' says it all", "a: Int??"),
    .member("the name of the custom type", "a: custom"),
    .member("no ',' between fields", "a: Int,\nb: Int"),
    .member("expected ':' between", "a Int"),
  ]

  static let attributes = [
    Refusal.member("did you mean '@readonly'?", "a: Int @readnly"),
    .member("stands here twice", "a: Int @key @key"),
    .member("takes no argument", "a: Int @key(1)"),
    .member("needs an argument", "a: Int @default"),
    .member("is never absent", "a: Int? @key"),
    .member("needs a limit", "a: Text @key"),
    .member("needs a limit", "a: Bytes @readonly @unique"),
    .member("cannot be a Float", "a: Float @key"),
    .member("cannot be JSON", "a: JSON @key"),
    .member("1026 bytes; 1024 are the limit", "a: Text(256) @key"),
    .member("1026 bytes; 1024 are the limit", "a: Text(256) @readonly @unique"),
    .member("may take 1034 bytes", "a: Text(253) @key\nb: Int @key\nc: Int @key\nd: Bool @key"),
    .member("'id' is the key", "id: UUID"),
    .member("cannot be readonly", "a: Counter @readonly"),
    .member("cannot be readonly", "a: Set<Int> @key"),
    .member("a key is unique already", "a: Int @key @unique"),
    .member("'@unique' needs '@readonly'", "a: Int @unique"),
    .member("'@index' is for scalars", "a: JSON @index"),
    .member("'@onDelete' is for references", "a: Int @onDelete(null)"),
    .member("did you mean 'cascade'?", "a: C @onDelete(cascde)"),
    .member("it cannot become absent", "a: C @onDelete(null)"),
    Refusal(
      "a reference in a key cannot become absent",
      "schema S\ncollection A { a: Int @key }\ncollection B { a: A @key @onDelete(null) }"),
    Refusal(
      "contains itself: A → B → A",
      "schema S\ncollection A { b: B @key }\ncollection B { a: A @key }"),
    Refusal("contains itself: A → A", "schema S\ncollection A { a: A @key }"),
    Refusal("is never '@key'", "schema S\nrecord R { a: Int @key }"),
    Refusal("is never '@readonly'", "schema S\nrecord R { a: Int @readonly }"),
    .member("stands after the type", "@key a: Int"),
  ]

  static let expressions = [
    Refusal.member("a whole number of 64 bits", "a: Int @default(1.5)"),
    .member("a whole number of 64 bits", "a: Int @default(\"1\")"),
    .member("does not fit", "a: Decimal(4, 2) @default(1.234)"),
    .member("more than 3 characters", "a: Text(3) @default(\"four\")"),
    .member("did you mean 'owner'?", "a: Role @default(ownr)"),
    .member("2024-02-29", "a: Date @default(\"2023-02-29\")"),
    .member("hexadecimal digits", "a: Bytes @default(\"xyz\")"),
    .member("a reference has no literal", "a: C? @default(1)"),
    .member("of a type that begins empty", "a: Counter @default(1)"),
    .member("fails its own check", "a: Int @default(0) @check(a > 0)"),
    .member("a check is true or false", "a: Int @check(a + 1)"),
    .member("names no field", "a: Int @check(1 < 2)"),
    .member("did you mean 'price'?", "price: Int @check(prise > 0)"),
    .member("it is readonly", "a: Int @readonly @check(a > 0)"),
    .member("it is a key", "a: Int @key @check(a > 0)"),
    .member("it merges concurrent changes", "a: Counter\nb: Int @check(a > b)"),
    .member("'@onDelete(null)' may make it absent", "a: C? @check(a == b)\nb: C?"),
    .member("is no scalar", "a: JSON @check(a == 1)"),
    .member("Int and Text cannot be compared", "a: Int @check(a == b)\nb: Text"),
    .member("Float is not exact", "a: Int @check(a < b)\nb: Float"),
    .member("'+' is for numbers", "a: Text @check(a + a == a)"),
    .member("write the case as a string", "owner: Int\na: Role @check(a == owner)"),
    .member("has no order", "a: Role @check(a < b)\nb: Role"),
    .member("'and' joins", "a: Int @check(a and a > 1)"),
    .member("'length' is of Text or Bytes", "a: Int @check(length(a) > 1)"),
    .member("there is no function 'len'", "a: Text @check(len(a) > 1)"),
    .member("there is no 'now'", "a: Timestamp @check(a < now)"),
    .member("'$author' can stand in rules only", "a: Principal @check(a == $author)"),
    .member("'exists' can stand in rules only", "a: Int @check(exists C(a: 1))"),
    .member("a check names the field alone", "a: Int @check(new.a > 1)"),
    .member("comparisons do not chain", "a: Int @check(0 < a < 9)"),
    .member("there is no division", "a: Int @check(a / 2 > 1)"),
    .member("write '=='", "a: Int @check(a = 1)"),
    .member("write 'and'", "a: Int @check(a > 1 && a < 3)"),
    .member(
      "more than 256 parts", "a: Int @check(a > 0" + String(repeating: " + 1", count: 300) + ")"),
    .member("nested too deep", "a: Int @check(" + String(repeating: "(", count: 5_000)),
    .member("nested too deep", "a: " + String(repeating: "Set<", count: 5_000)),
    .member("needs one value", "a: Int @check(a in [])"),
  ]

  static let rules = [
    Refusal.rule("there is no action 'created'", "allow created"),
    .rule("'create' stands here twice", "allow create, create"),
    .rule("stands at the top", "allow upgrade"),
    .rule("did you mean 'M'?", "allow create if exists m(p: $author)"),
    .rule("'M' has no field 'rol'", "allow create if exists M(rol: owner)"),
    .rule("'Role' is an enum, not a collection", "allow create if exists Role(a: 1)"),
    .rule("has no case 'boss'", "allow create if exists M(role: boss)"),
    .rule("readonly fields only", "allow create if exists M(name: \"x\")"),
    .rule("'role' stands here twice", "allow create if exists M(role: owner, role: editor)"),
    .rule("a rule has no 'not'", "allow create if not exists M(p: $author)"),
    .rule("a row that grants it", "allow create if not exists M(p: $author)"),
    .rule("the opposite comparison", "allow create if not new.level == 1"),
    .rule("readonly fields only", "allow create if new.title == \"x\""),
    .rule("readonly fields only", "allow update if row.title == \"x\""),
    .rule("'update' has none", "allow create, update if new.level == 1"),
    .rule("a create has none", "allow create, delete if row.level == 1"),
    .rule("not known while", "allow create if new.id == \"\""),
    .rule("there is no 'now'", "allow create if new.level < now"),
    .rule("clocks differ", "allow create if $now > 1"),
    .rule("clocks differ", "allow create if now() > 1"),
    .rule("two constants", "allow create if 1 == 1"),
    .rule("always true", "allow create if true"),
    .rule("write 'row.open == true'", "allow update if row.open"),
    .rule("has no order", "allow create if new.by < $author"),
    .rule("Int and Principal cannot be compared", "allow create if new.level == $author"),
    .rule("a key of 2 fields", "allow create if new.pair == 1"),
    .rule("is no scalar", "allow create if new.spec == 1"),
    .rule("expected $author", "allow create if new.level + 1 == 2"),
    .rule("a rule does not compute", "allow create if new.level + 1"),
    .rule("nothing that a rule can look at", "allow create if old.level == 1"),
    .rule("names nothing here", "allow create if new.level == level"),
    .rule("there is no '$autor'", "allow create if $autor == new.by"),
    .rule("not fields of a record", "allow create if new.by.p == $author"),
    .rule("a comma between matches", "allow create if exists M(p: $author and role: owner)"),
    Refusal(
      "is no key field",
      "schema S\ncollection K {\n  k: Int @key\n  l: Int @readonly\n  allow update if row.l == 1\n}"
    ),
    Refusal(
      "leaves no rule a meaning", "schema S\nallow everything\ncollection C { allow create }"),
    Refusal("allows upgrades too", "schema S\nallow everything\nallow upgrade"),
    Refusal("allows connecting too", "schema S\nallow everything\nallow connect"),
    Refusal("'allow connect' stands alone", "schema S\nallow connect, upgrade"),
    Refusal("connecting creates no row", "schema S\nallow connect if new.a == 1"),
    Refusal("connecting concerns no row", "schema S\nallow connect if row.a == 1"),
    Refusal(
      "there is no '$author'",
      "schema S\nallow connect if exists M(p: $author)\ncollection M { p: Principal @key }"),
    Refusal(
      "stands in 'allow connect' only",
      "schema S\nallow upgrade if exists M(p: $peer)\ncollection M { p: Principal @key }"),
    Refusal("stands at the top", "schema S\ncollection M {\n  a: Int\n  allow connect\n}"),
    Refusal("stands in a collection", "schema S\nallow create"),
    Refusal("no condition", "schema S\nallow everything if exists C()\ncollection C { }"),
    Refusal("an upgrade creates no row", "schema S\nallow upgrade if new.a == 1"),
    Refusal("an upgrade concerns no row", "schema S\nallow upgrade if row.a == 1"),
  ]

  @Test(arguments: names + types + attributes + expressions + rules)
  func isRefused(_ refusal: Refusal) {
    do throws(SchemaErrors) {
      let schema = try Schema.parse(refusal.text)
      Issue.record("accepted:\n\(schema.canonicalText)")
    } catch {
      let said = error.diagnostics.map { $0.message + " | " + ($0.help ?? "") }
      #expect(said.contains { $0.contains(refusal.says) }, "\(said)")
      // Every error has a place in the text.
      #expect(error.diagnostics.allSatisfy { $0.line >= 1 && $0.column >= 1 })
    }
  }

  @Test func whatIsAllowedIsNotRefused() throws {
    _ = try Schema.parse(
      """
      schema S
      enum Role { owner, editor }
      record Point { x: Int @check(x < y) y: Int }
      collection M { p: Principal @key }
      collection Pair { a: Int @key b: M @key }
      collection C {
        by: M @readonly
        pair: Pair @readonly
        self: C?
        list: List<C> @onDelete(null)
        at: Point?
        size: Int @default(-1) @check(size >= at.x or size in [-1, -2])
        half: Int @check(half > 1.5)
        role: Role @default("owner") @check(role != editor)
        from: M
        to: M @check(from != to)
        allow create if new.by == $author and exists C(pair: new.pair, by: new.by or $author)
        allow update if row.id == "123e4567-e89b-12d3-a456-426614174000"
        allow delete
      }
      allow upgrade
      """)
  }

  @Test func longExpressionsTakeNoLongTime() throws {
    let sum = "a" + String(repeating: " + a", count: 120)
    let minus = String(repeating: "-(", count: 30) + "a" + String(repeating: ")", count: 30)
    let schema = try Schema.parse(
      "schema S\ncollection C { a: Int? @check(\(sum) > 0) @check(\(minus) > 0) }")
    #expect(schema.collections[0].mergeUnits.isEmpty)
    #expect(schema.collections[0].layout.failedCheck { _ in nil } == nil)
  }

  /// Quadratic time would show here as minutes.
  @Test(
    .timeLimit(.minutes(10)),
    arguments: [
      "x\n" + String(repeating: "/// a\n", count: 100_000) + "x",
      String(repeating: "///\n", count: 200_000), String(repeating: "`", count: 500_000),
      String(repeating: "collection { ", count: 60_000),
      "collection C { a: Int @check(" + String(repeating: "not ", count: 200_000),
      "collection C {\n" + String(repeating: "a: Zxcvb\n", count: 90_000) + "}",
    ])
  func longTextsTakeNoLongTime(_ text: String) {
    _ = try? Schema.parse("schema S\n" + text)
  }

  @Test func allErrorsAtOnceInTheOrderOfTheText() throws {
    let text = """
      schema S
      collection A {
        a: Txt
        b Int
        c: Int @check(d > 0)
        allow fly
      }
      enum E { x y }
      collection B {
        a: Int @kye
      """
    let errors = #expect(throws: SchemaErrors.self) { try Schema.parse(text) }
    #expect(errors?.diagnostics.map(\.line) == [3, 4, 5, 6, 8, 10, 10])
  }

  @Test func errorsAreCapped() {
    let text = "schema S\n" + String(repeating: "collection A { a: X }\n", count: 500)
    let errors = #expect(throws: SchemaErrors.self) { try Schema.parse(text) }
    #expect(errors?.diagnostics.count == SchemaErrors.limit)
  }

  @Test func sizesAreLimited() {
    func refuses(_ text: String, _ says: String) {
      let errors = #expect(throws: SchemaErrors.self) { try Schema.parse(text) }
      #expect(errors?.description.contains(says) == true, "\(errors?.description ?? "")")
    }
    refuses(String(repeating: " ", count: Limits.schemaBytes + 1), "1048576 at most")
    refuses(
      "schema S\n" + (0...1_000).map { "collection C\($0) {}\n" }.joined(), "1000 collections")
    refuses(
      "schema S\ncollection C {\n" + (0...1_000).map { "f\($0): Int\n" }.joined() + "}",
      "1000 fields")
    refuses("schema " + String(repeating: "x", count: 129), "128 bytes at most")
    let doubling = (0..<14).map { "record R\($0) { a: R\($0 + 1) b: R\($0 + 1) }\n" }.joined()
    refuses("schema S\n\(doubling)record R14 { a: Int }\ncollection C { r: R0 }", "more than 4096")
    let wide = (0..<10).map { "record R\($0) { a: R\($0 + 1) b: R\($0 + 1) }\n" }.joined()
    refuses(
      "schema S\n\(wide)record R10 { a: Int }\n"
        + (0..<200).map { "collection C\($0) { r: R0 }\n" }.joined(), "more than 65536")
    let chain = (0..<40).map { "record R\($0) { a: R\($0 + 1) }\n" }.joined()
    refuses("schema S\n\(chain)record R40 { a: Int }", "32 deep")
    let keys = (0..<20).map { "collection C\($0) { a: C\($0 + 1) @key }\n" }.joined()
    refuses("schema S\n\(keys)collection C20 { a: Int @key }", "15 deep")
  }
}

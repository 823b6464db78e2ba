import HeadwaterModel
import Testing

@Suite struct SchemaUpgradeTests {
  private static let hash = String(repeating: "3f9a", count: 16)
  private static let header = "schema Shop from \(hash)\n"

  private func apply(_ steps: String, to text: String = shopText) throws(SchemaErrors) -> Schema {
    try SchemaUpgrade.parse(SchemaUpgradeTests.header + steps).apply(to: Schema.parse(text))
  }

  @Test func theStepsOfTheDocumentation() throws {
    let old = shopText + "\ncollection Legacy { a: Int }\n"
    let text =
      SchemaUpgradeTests.header + """
        rename Product.name to Product.title
        add Product.weight: Float @default(0)
        add Product.twice: Decimal(12, 2) = price * 2 else 0
        retype Product.price: Decimal(14, 4)
        drop Product.spec
        rename collection Supplier to Vendor
        add collection Warehouse { place: Text }
        drop collection Legacy
        add case Role.guest
        alter Product.title @check(length(title) > 0)
        replace rules of Product { allow create if exists Member(principal: $author, role: guest) }

        """
    let upgrade = try SchemaUpgrade.parse(text)
    #expect(upgrade.from.hex == SchemaUpgradeTests.hash)
    #expect(upgrade.steps.count == 11)
    #expect(upgrade.steps[0].action == .renameField(owner: "Product", field: "name", to: "title"))
    #expect(upgrade.steps[1].position == SchemaPosition(line: 3, column: 1))
    let plan = try upgrade.plan(for: Schema.parse(old))
    let product = try #require(plan.schema.collection(named: "Product"))
    #expect(
      product.fields.map(\.name) == [
        "sku", "title", "price", "list", "tags", "stock", "notes", "photo", "supplier", "weight",
        "twice",
      ])
    #expect(product.fields[8].type == .optional(.reference("Vendor")))
    #expect(product.fields[2].type == .decimal(precision: 14, scale: 4))
    #expect(product.rules.count == 1)
    #expect(plan.schema.collection(named: "Legacy") == nil)
    #expect(plan.schema.collection(named: "Warehouse")?.hasGeneratedKey == true)
    #expect(plan.schema.enumeration(named: "Role")?.cases.last?.name == "guest")
    #expect(plan.lossySteps.map(\.text) == ["drop Product.spec", "drop collection Legacy"])
    #expect(try Schema.parse(plan.schema.canonicalText) == plan.schema)
  }

  @Test func upgradesFormatAndComeBack() throws {
    let text = """
      // why
      schema   Shop from \(SchemaUpgradeTests.hash.uppercased()) // base
      rename Product.name to title
      /// Kilograms.
      add Product.weight:Float @default( 0.50 )  // new
      replace rules of Product { // all
        allow delete // nobody else
      }
      add enum Size{small,large}
      drop case Role.viewer else editor
      order Role { editor, owner }
      strictly
      """
    #expect(throws: SchemaErrors.self) { try Schema.format(text) }
    let formatted = try Schema.format(text.replacing("\nstrictly", with: ""))
    #expect(
      formatted == """
        // why
        schema Shop from \(SchemaUpgradeTests.hash)  // base

        rename Product.name to Product.title
        /// Kilograms.
        add Product.weight: Float @default(0.5)  // new
        replace rules of Product {  // all
          allow delete  // nobody else
        }
        add enum Size { small, large }
        drop case Role.viewer else Role.editor
        order Role { editor, owner }

        """)
    #expect(try Schema.format(formatted) == formatted)
    let upgrade = try SchemaUpgrade.parse(formatted)
    #expect(!upgrade.canonicalText.contains("//  "))
    #expect(try SchemaUpgrade.parse(upgrade.canonicalText).canonicalText == upgrade.canonicalText)
    guard case .upgrade = try SchemaFile.parse(formatted) else {
      Issue.record("not an upgrade")
      return
    }
    guard case .schema = try SchemaFile.parse(shopText) else {
      Issue.record("not a schema")
      return
    }
  }

  @Test func renamesReachEveryMention() throws {
    let old = """
      schema Shop
      enum Role { owner, open }
      record Size { width: Int @check(width < height) height: Int }
      collection M {
        p: Principal @key
        role: Role @readonly
      }
      collection C {
        by: M @readonly
        size: Size @check(size.width > 0 and low < size.height)
        low: Int
        role: Role @default(owner) @check(role != owner or low == 1)
        friends: Set<M>
        allow create if new.by == $author and exists M(role: owner, p: new.by)
        allow update if row.by == $author
      }
      allow upgrade if exists M(role: owner or open)
      """
    let new = try apply(
      """
      rename Size.width to w
      rename C.size to area
      rename C.low to open
      rename C.by to author
      rename M.role to rank
      rename collection M to `Text`
      rename enum Role to Rank
      rename record Size to Area
      rename case Rank.owner to boss
      """, to: old)
    #expect(
      new.canonicalText == """
        schema Shop

        enum Rank { boss, open }

        record Area {
          w: Int @check(w < height)
          height: Int
        }

        collection `Text` {
          p: Principal @key
          rank: Rank @readonly
        }

        collection C {
          author: `Text` @readonly
          area: Area @check(area.w > 0 and open < area.height)
          open: Int
          role: Rank @default(boss) @check(role != boss or open == 1)
          friends: Set<`Text`>

          allow create if new.author == $author and exists Text(rank: boss, p: new.author)
          allow update if row.author == $author
        }

        allow upgrade if exists Text(rank: boss or open)

        """)
  }

  @Test func documentationOrderAndStrictnessCanChange() throws {
    let new = try apply(
      """
      /// The shop.
      alter schema
      /// Goods.
      alter lenient collection Product
      /// Code.
      alter Product.sku
      alter Product.list @default(1) @index
      order Role { viewer, editor, owner }
      order Product { sku, price, name, list, tags, stock, notes, photo, spec, supplier }
      order schema { Role, Line, Order, Product, Member, Supplier }
      alter Product.supplier @onDelete(cascade)
      replace rules of schema { allow upgrade }
      """)
    #expect(new.documentation == "The shop.")
    #expect(new.enums[0].cases.map(\.name) == ["viewer", "editor", "owner"])
    #expect(new.collections.map(\.name) == ["Order", "Product", "Member", "Supplier"])
    let product = new.collections[1]
    #expect(product.declaredStrictness == .lenient)
    #expect(product.documentation == "Goods.")
    #expect(product.fields[0].documentation == "Code.")
    #expect(product.fields[0].isKey)
    #expect(product.fields[1].name == "price")
    #expect(product.fields[3].isIndexed)
    #expect(product.fields[3].checks.isEmpty)
    #expect(product.fields[9].onDelete == .cascade)
    #expect(new.upgradeRules == [nil])
  }

  @Test func imagesAreExactOrTheElse() throws {
    let upgrade = try SchemaUpgrade.parse(
      SchemaUpgradeTests.header + """
        add Product.twice: Decimal(12, 2) = price * 2 else -1
        add Product.cents: Int? = price * 100 else absent
        add Product.copy: Text = sku
        add Product.low: Decimal(12, 2)? = list
        retype Product.name: Text(3) else "?"
        """)
    let plan = try upgrade.plan(for: Schema.parse(shopText))
    func image(_ index: Int, _ values: [String: Value]) -> Value? {
      switch plan.rowSteps[index] {
      case .addField(_, _, let type, let image), .retypeField(_, _, _, let type, let image):
        image.value(as: type) { values[$0[0]] }
      default: nil
      }
    }
    func decimal(_ text: String) -> Value { .decimal(ExactDecimal(text)!) }
    #expect(image(0, ["price": decimal("1.25")]) == decimal("2.5"))
    #expect(image(0, ["price": decimal("9999999999.99")]) == decimal("-1"))
    #expect(image(1, ["price": decimal("1.25")]) == .int(125))
    #expect(image(1, ["price": decimal("0.001")]) == nil)
    #expect(image(2, ["sku": .text("a")]) == .text("a"))
    #expect(image(3, [:]) == nil)
    #expect(image(4, ["name": .text("abc")]) == .text("abc"))
    #expect(image(4, ["name": .text("abcd")]) == .text("?"))
    #expect(plan.lossySteps.count == 1)
  }

  static let refusals = [
    Refusal("did you mean 'rename'?", "renam Product.name to x"),
    Refusal("there is no collection or record 'Prod'", "drop Prod.name"),
    Refusal("did you mean 'name'?", "drop Product.nam"),
    Refusal("there is a field 'price' already", "rename Product.name to price"),
    Refusal("there is a type 'Line' already", "add enum Line { a }"),
    Refusal("there is a case 'owner' already", "add case Role.owner"),
    Refusal("is required, and old rows have no value", "add Product.x: Int"),
    Refusal("is required, and old rows have no value", "add Product.x: Line"),
    Refusal("so an 'else' is needed", "add Product.x: Decimal(12, 2) = price * 2"),
    Refusal("so an 'else' is needed", "add Product.x: Decimal(12, 2) = list"),
    Refusal("'else' stands after", "add Product.x: Int else 1"),
    Refusal("cannot be absent", "add Product.x: Int = length(name) else absent"),
    Refusal("there is no field 'y'", "add Product.x: Int = y else 0"),
    Refusal("Text, and Int is needed", "add Product.x: Int = name else 0"),
    Refusal("a key field cannot be added", "add Product.x: Int @key"),
    Refusal("a key field cannot be dropped", "drop Product.sku"),
    Refusal("can be added only absent", "add Supplier.x: Int @readonly @unique @default(0)"),
    Refusal("so an 'else' is needed", "retype Product.name: Text(10)"),
    Refusal("so an 'else' is needed", "retype Product.list: Decimal(12, 2)"),
    Refusal("may only be widened", "retype Product.sku: Text(10) else \"x\""),
    Refusal("may only be widened", "retype Supplier.vat: Text(10) else \"x\""),
    Refusal("has no exact images", "retype Product.price: Date else \"2024-01-01\""),
    Refusal("has no exact images", "retype Product.tags: List<Text(40)>"),
    Refusal("what becomes of values", "drop case Role.viewer"),
    Refusal("cannot stand in for itself", "drop case Role.viewer else viewer"),
    Refusal("not sound: 'Role' has no case 'editor'", "drop case Role.editor else owner"),
    Refusal("not sound: there is no type 'Line'", "drop record Line"),
    Refusal("not sound", "drop Member.role"),
    Refusal("cannot be altered", "alter Product.name @readonly"),
    Refusal("did you mean '@check'?", "alter Product.name @chek(name == \"\")"),
    Refusal("names every field once", "order Product { sku, name }"),
    Refusal("names every declaration once", "order schema { Role }"),
    Refusal("this step has no doc comment", "/// x\ndrop Product.spec"),
    Refusal("stays in 'Product'", "rename Product.name to Order.name"),
    Refusal("expected 'to'", "rename Product.name title"),
  ]

  @Test(arguments: refusals)
  func isRefused(_ refusal: Refusal) {
    do throws(SchemaErrors) {
      let schema = try apply(refusal.text)
      Issue.record("accepted:\n\(schema.canonicalText)")
    } catch {
      #expect(error.description.contains(refusal.says), "\(error)")
      #expect(error.diagnostics.allSatisfy { $0.line >= 1 })
    }
  }

  @Test func theHashIsChecked() {
    let errors = #expect(throws: SchemaErrors.self) {
      try SchemaUpgrade.parse("schema Shop from 3f9a")
    }
    #expect(errors?.description.contains("64 hexadecimal digits") == true)
    #expect(throws: SchemaErrors.self) { try SchemaUpgrade.parse(shopText) }
  }
}

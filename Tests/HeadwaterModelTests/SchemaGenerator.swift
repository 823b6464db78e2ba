/// Writes the texts of random schemas, all of them sound, in careless spelling and with comments.
struct SchemaGenerator {
  private var random: SeededGenerator
  private var enums: [(name: String, cases: [String])] = []
  private var records: [String] = []
  private var collections: [(name: String, key: String?)] = []

  init(seed: UInt64) { random = SeededGenerator(seed: seed) }

  private mutating func chance(_ percent: Int) -> Bool {
    Int.random(in: 0..<100, using: &random) < percent
  }
  private mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }
  private mutating func pick<T>(_ items: [T]) -> T { items[below(items.count)] }

  private mutating func name(_ stem: String, _ number: Int) -> String {
    switch below(8) {
    case 0: "`\(stem) \(number) \"é🙂\"`"
    case 1: "`\(stem)\(number)`"
    case 2: "`in \(stem)\(number)`"
    default: "\(stem)\(number)"
    }
  }

  /// Something that changes no meaning.
  private mutating func space() -> String {
    switch below(14) {
    case 0: "\n"
    case 1: "\r\n\n  "
    case 2: " // a comment \(below(100))\n"
    case 3: "\n// on its own line\n\n"
    case 4: "\t"
    case 5: "\n    //// a ruler\n"
    default: " "
    }
  }

  private mutating func documentation() -> String {
    guard chance(20) else { return "" }
    return chance(50)
      ? "\n/// About it.\n" : "\n///\n///  Two lines, \(below(9))\n///\n/// of it.\n///\n"
  }

  mutating func schema() -> String {
    for index in 0..<below(3) {
      enums.append((name("E", index), (0...below(4)).map { "c\($0)" }))
    }
    let recordCount = below(3)
    for index in 0..<(1 + below(4)) {
      collections.append((name("C", index), chance(50) ? pick(["Int", "Text(9)", "UUID"]) : nil))
    }
    var parts: [String] = []
    for item in enums {
      var text = documentation() + "enum" + space() + item.name + space() + "{"
      for name in item.cases { text += space() + documentation() + name + space() + "," }
      parts.append(text + space() + "}")
    }
    for index in 0..<recordCount {
      let name = name("R", index)
      parts.append(
        documentation() + "record " + name + space() + "{" + fields(inRecord: true) + space() + "}")
      records.append(name)
    }
    for item in collections { parts.append(collection(item)) }
    if chance(50) {
      parts.append("allow upgrade" + (chance(50) ? " if " + condition(for: "") : ""))
    }
    if chance(30) {
      let rule = "allow connect" + (chance(70) ? " if " + condition(for: "") : "")
      parts.append(rule.replacing("$author", with: "$peer"))
    }
    parts.shuffle(using: &random)
    return documentation() + "schema" + space() + name("S", 0) + "\n"
      + parts.joined(separator: space() + "\n") + space()
  }

  private mutating func collection(_ item: (name: String, key: String?)) -> String {
    var text =
      documentation() + pick(["", "strict ", "lenient "]) + "collection " + item.name + space()
      + "{"
    if let key = item.key {
      text += space() + "k: " + key + " @key" + (chance(20) ? " @readonly" : "")
    }
    text += space() + "who: Principal @readonly"
    text += fields(inRecord: false)
    for _ in 0..<below(3) {
      text += space() + "allow "
      let action = pick(["create", "update", "delete", "delete, update"])
      text += action
      if chance(70) {
        text +=
          " if " + condition(for: action == "create" ? "new.who" : item.key == nil ? "row.who" : "")
      }
    }
    return text + space() + "}"
  }

  private mutating func condition(for subject: String) -> String {
    var text = atom(subject)
    for _ in 0..<below(3) {
      text =
        chance(50)
        ? "(\(text)) \(pick(["and", "or"])) \(atom(subject))"
        : "\(atom(subject)) \(pick(["and", "or"])) (\(text))"
    }
    return text
  }

  private mutating func atom(_ subject: String) -> String {
    if !subject.isEmpty, chance(50) {
      return chance(50)
        ? "\(subject) == $author"
        : "\(subject) in [$author, \"\(String(repeating: "aB", count: 32))\"]"
    }
    let item = pick(collections)
    return "exists \(item.name)(who:" + space() + "$author"
      + (subject.isEmpty ? "" : " or \(subject)") + ")"
  }

  private mutating func fields(inRecord: Bool) -> String {
    var text = ""
    for index in 0..<(1 + below(6)) {
      text += space() + documentation() + field(name("f", index), inRecord: inRecord)
    }
    return text
  }

  private mutating func field(_ name: String, inRecord: Bool) -> String {
    let optional = chance(30) ? "?" : ""
    switch below(inRecord ? 9 : 14) {
    case 0:
      return "\(name): Int\(optional) @check(\(number(name)))"
        + (chance(50) ? " @default(100)" : "")
    case 1:
      return "\(name): Decimal(12,\(below(5)))\(optional) @check( \(name) > -0.50 ) @default(7.0)"
    case 2:
      return
        "\(name) : Text\(chance(50) ? "(20)" : "")\(optional) @check(length(\(name)) <= 9) @default(\"a\\n\\u{E9}\")"
    case 3:
      return
        "\(name): Float\(optional) @default(\(pick(["1.5e10", "-0", "1e-7", "3"]))) @check(\(name) < 1e30)"
    case 4:
      guard !enums.isEmpty else { return "\(name): Bool" }
      let item = pick(enums)
      return
        "\(name): \(item.name)\(optional) @default(\(pick(["c0", "\"c0\""]))) @check(\(name) in [c0, \"\(pick(item.cases))\"])"
    case 5:
      guard !records.isEmpty else { return "\(name): Date\(optional) @default(\"2024-01-31\")" }
      return "\(name): \(pick(records))\(optional)"
    case 6:
      return "\(name): \(pick(collections).name)\(optional)"
        + (chance(40) ? " @onDelete(\(pick(["void", "cascade"])))" : "")
    case 7: return "\(name): JSON\(optional) @default(\(pick(["1.0", "true", "\"x\"", "0.25"])))"
    case 8:
      return
        "\(name): \(pick(["Date", "Timestamp", "UUID", "Principal", "Bytes(4)"]))\(optional) @index"
    case 9: return "\(name): Set<\(pick(["Int", "Text(4)", collections[0].name]))>"
    case 10: return "\(name): Map<Text, \(pick(["Int", "JSON"]))>"
    case 11:
      return "\(name): \(pick(["Counter", "SharedText", "custom \"x y\"", "MultiValue<Text>"]))"
    case 12: return "\(name): List<\(pick(["Int"] + records))>"
    default: return "\(name): Int @unique" + space() + "@readonly"
    }
  }

  private mutating func number(_ name: String) -> String {
    var text = chance(50) ? "\(name) >= 1" : "not (\(name) < 1.50)"
    for _ in 0..<below(3) {
      text = pick([
        "(\(text)) and \(name) * (2 + \(name)) > -(\(name)) - -3",
        "\(text) or not \(name) + 1 == 2 * 3 - (4 - 5)",
        "(\(name) > 1 or \(text)) and true != false",
        "\(name) in [100, 1+1] or \(text)",
      ])
    }
    return text
  }
}

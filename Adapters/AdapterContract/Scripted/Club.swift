import HeadwaterModel

/// The schema of most cases: people who have bosses, and badges with unique codes.
enum Club {
  static let person = 0
  static let badge = 1

  static let sketch = SchemaSketch(
    name: "Club",
    collections: [
      (
        "Person",
        [
          .key("name", .text(limit: 40)), .optional("age", .int), .field("note", .text(limit: nil)),
          .optional("boss", .reference("Person")),
        ]
      ),
      (
        "Badge",
        [
          .key("number", .int), .unique("code", .text(limit: 40)),
          .field("holder", .reference("Person")),
        ]
      ),
    ])

  static func source(database: UInt8 = 1, people: Int = 0) throws -> ScriptedSource {
    let source = ScriptedSource(schema: try sketch.schema(), database: database)
    for index in 0..<people {
      source.commit([person(name(index), age: index, boss: index > 0 ? name(index / 2) : nil)])
    }
    if people > 0 {
      source.commit((0..<people).map { badge($0, "code \($0)", name($0)) })
    }
    return source
  }

  static func name(_ index: Int) -> String {
    let digits = String(index)
    return "person " + String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
  }

  static func key(_ name: String) -> Key { Key([.text(name)]) }
  static func key(_ number: Int) -> Key { Key([.int(Int64(number))]) }

  static func person(
    _ name: String, age: Int? = nil, note: String = "", boss: String? = nil
  ) -> ScriptedSource.Write {
    .put(
      person,
      Row([
        .text(name), age.map { .int(Int64($0)) }, .text(note), boss.map { .reference(key($0)) },
      ]))
  }

  static func badge(_ number: Int, _ code: String, _ holder: String) -> ScriptedSource.Write {
    .put(badge, Row([.int(Int64(number)), .text(code), .reference(key(holder))]))
  }

  static func noPerson(_ name: String) -> ScriptedSource.Write { .delete(person, key(name)) }
  static func noBadge(_ number: Int) -> ScriptedSource.Write { .delete(badge, key(number)) }
}

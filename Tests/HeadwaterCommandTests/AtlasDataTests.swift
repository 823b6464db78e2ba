import Foundation
import HeadwaterModel
import Testing

@testable import HeadwaterCommand

/// The rows of the example against its schema, on the real lists and on ones that are wrong.
@Suite struct AtlasDataTests {
  static let schemaFile = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Examples/Atlas/atlas.schema")

  private func schema() throws -> Schema {
    try Schema.parse([UInt8](try Data(contentsOf: AtlasDataTests.schemaFile)))
  }

  /// The file is laid out for readers: it spells out what the canonical text leaves to defaults.
  @Test func theSchemaIsRead() throws {
    let schema = try schema()
    #expect(schema.name == "Atlas")
    #expect(schema.allowsEverything)
    #expect(try Schema.parse(schema.canonicalText).canonicalText == schema.canonicalText)
  }

  /// The counts grow from release to release of the lists; these are of a release of 2023.
  @Test func theRealListsAreLarge() throws {
    let atlas = try AtlasData()
    let expected = [
      ("Country", 249), ("Subdivision", 5_000), ("LanguageFamily", 115), ("Language", 7_900),
      ("Script", 180), ("Currency", 170), ("FormerCountry", 31),
    ]
    #expect(atlas.collections.map(\.name) == expected.map(\.0))
    for (collection, (_, least)) in zip(atlas.collections, expected) {
      #expect(collection.rows.count >= least, "\(collection.name)")
      #expect(collection.ndjson.count { $0 == 0x0A } == collection.rows.count)
    }
    #expect(atlas.rowCount > 13_000)
    #expect(atlas.omittedReferences == 0)
  }

  @Test func everyRowFitsTheSchemaAndRefersToEarlierOnes() throws {
    let schema = try schema()
    let atlas = try AtlasData()
    #expect(Set(schema.collections.map(\.name)) == Set(atlas.collections.map(\.name)))
    var keys: [String: Set<Key>] = [:]
    var referenceCount = 0
    for collection in atlas.collections {
      let index = try #require(schema.collectionIndex(named: collection.name))
      let type = schema.collections[index]
      for text in collection.rows {
        let row = try schema.row(from: try RawJSON(text: text), of: type)
        for (field, value) in zip(type.fields, row.values) {
          guard case .reference(let key) = value else { continue }
          guard case .reference(let target) = field.type.wrapped else { continue }
          #expect(keys[target]?.contains(key) == true, "\(collection.name) \(key)")
          referenceCount += 1
        }
        let key = Key(type.keyFields.compactMap { row.values[$0] })
        let isNew = keys[collection.name, default: []].insert(key).inserted
        #expect(isNew, "\(collection.name) \(key) twice")
      }
    }
    #expect(referenceCount > 6_000)
  }

  // MARK: - Lists that are wrong

  @Test func missingListsSayWhatToInstall() throws {
    let error = #expect(throws: AtlasData.Failure.self) {
      try AtlasData(directory: "/nonexistent")
    }
    #expect(error?.description.contains("apt-get install iso-codes") == true)
  }

  @Test func parentsAreFoundInEitherSpellingAndMovedForward() throws {
    let atlas = try atlas(subdivisions: [
      ("XA-3", "2"), ("XA-2", "XA-1"), ("XA-1", nil), ("XA-4", "nowhere"),
    ])
    #expect(subdivisions(atlas) == ["XA-1 -", "XA-4 -", "XA-2 XA-1", "XA-3 XA-2"])
    #expect(atlas.omittedReferences == 1)
  }

  @Test func circlesAreCut() throws {
    let atlas = try atlas(subdivisions: [
      ("XA-1", "XA-1"), ("XA-2", "XA-3"), ("XA-3", "XA-2"), ("XA-4", "XA-3"),
    ])
    #expect(subdivisions(atlas) == ["XA-1 -", "XA-2 -", "XA-3 XA-2", "XA-4 XA-3"])
    #expect(atlas.omittedReferences == 2)
  }

  @Test(arguments: ["", "[]", "{}", "{\"4217\":{}}", "{\"4217\":[{}]}", "{\"4217\":[7]}", "{\"4"])
  func aListThatIsNoneIsNamed(text: String) throws {
    let error = #expect(throws: AtlasData.Failure.self) {
      try atlas(subdivisions: [], replacing: ["4217": text])
    }
    #expect(error?.description.contains("iso_4217.json") == true)
  }

  private func subdivisions(_ atlas: AtlasData) -> [String] {
    atlas.collections[1].rows.map { text in
      guard let row = try? RawJSON(text: text), case .string(let code)? = row["code"] else {
        return "?"
      }
      if case .string(let parent)? = row["parent"] { return "\(code) \(parent)" }
      return "\(code) -"
    }
  }

  private func atlas(
    subdivisions: [(code: String, parent: String?)], replacing: [String: String] = [:]
  ) throws -> AtlasData {
    let files = FileManager.default
    let directory = files.temporaryDirectory.appendingPathComponent("atlas-" + UUID().uuidString)
    try files.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? files.removeItem(at: directory) }
    var lists = Dictionary(
      uniqueKeysWithValues: ["3166-3", "639-3", "639-5", "15924", "4217"].map {
        ($0, "{\"\($0)\":[]}")
      })
    lists["3166-1"] = """
      {"3166-1":[{"alpha_2":"XA","alpha_3":"XAA","numeric":"000","name":"Somewhere"}]}
      """
    let entries = subdivisions.map { code, parent in
      "{\"code\":\"\(code)\",\"name\":\"n\",\"type\":\"t\""
        + (parent.map { ",\"parent\":\"\($0)\"" } ?? "") + "}"
    }
    lists["3166-2"] = "{\"3166-2\":[\(entries.joined(separator: ","))]}"
    lists.merge(replacing) { _, new in new }
    for (standard, text) in lists {
      try Data(text.utf8).write(to: directory.appendingPathComponent("iso_\(standard).json"))
    }
    return try AtlasData(directory: directory.path)
  }
}

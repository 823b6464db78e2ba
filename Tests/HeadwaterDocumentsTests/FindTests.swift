import Foundation
import HeadwaterDocuments
import HeadwaterModel
import HeadwaterStream
import SQLiteDriver
import Testing

@Suite struct FindTests {
  private static let text = """
    schema Shop
    allow everything
    enum Kind { big, small }
    record Size {
      width: Decimal(8, 2)
      unit: Text
    }
    collection Town {
      land: Text(2) @key
      name: Text(40) @key
    }
    collection Product {
      sku: Text(32)          @key
      name: Text(200)        @index
      kind: Kind?            @index
      price: Decimal(12, 2)  @index
      wealth: Decimal(38, 4)?
      stock: Int             @index
      heat: Float?           @index
      added: Date?           @index
      at: Timestamp?
      serial: Text(20)       @readonly @unique
      spec: JSON?
      size: Size?
      town: Town?
      other: Product?        @index
    }
    """

  private struct Store {
    let folder: Folder
    let store: DocumentStore

    func skus(_ query: String, _ options: FindOptions = .init(), _ collection: String = "Product")
      throws -> String
    {
      try store.find(collection, try DocumentQuery(query), options)
        .map { if case .string(let sku)? = $0["sku"] { sku } else { "?" } }.joined()
    }
  }

  private static func shop() async throws -> Store {
    let schema = try Schema.parse(text)
    let folder = Folder()
    var feeder = Feeder(DocumentFileAdapter(path: folder.path + "/shop.docs"), schema)
    func row(
      _ sku: String, _ price: String, wealth: String? = nil, stock: Int64 = 0,
      heat: Double? = nil, added: String? = nil, kind: String? = nil, spec: String? = nil,
      width: String? = nil, town: String? = nil, other: String? = nil
    ) throws -> Row {
      Row([
        .text(sku), .text("name " + sku), kind.map { .text($0) },
        .decimal(ExactDecimal(price)!), wealth.map { .decimal(ExactDecimal($0)!) }, .int(stock),
        heat.map { .float($0) }, added.map { .date(CalendarDate($0)!) },
        added.map { .timestamp(Timestamp($0 + "T12:00:00Z")!) }, .text("s-" + sku),
        try spec.map { .json(try JSON(text: $0)) },
        width.map { .record([.decimal(ExactDecimal($0)!), .text("mm")]) },
        town.map { .reference(Key([.text("DE"), .text($0)])) },
        other.map { .reference(Key([.text($0)])) },
      ])
    }
    let rows = [
      try row(
        "a", "9.90", wealth: "-1000000000000000000000000000.5", stock: 1, heat: 0.1,
        added: "2024-01-31", kind: "big",
        spec: #"{"color":"red","tags":["sale","new"],"sizes":[{"w":1,"h":2},{"w":3,"h":4}],"n":1}"#,
        width: "1.50", town: "Ulm"),
      try row(
        "b", "10", wealth: "0.0001", stock: .max, heat: .infinity, added: "2024-02-01",
        kind: "small", spec: #"{"color":"blue","tags":"sale","sizes":{"w":3},"n":1.5}"#,
        width: "10", town: "Bonn", other: "a"),
      try row(
        "c", "-3.05", wealth: "99999999999999999999.9", stock: -7, heat: -.infinity,
        spec: #"["sale",[1,2],{"color":"red"},9007199254740993]"#, other: "b"),
      try row("d", "100", spec: "null"),
      try row("e", "9.9", wealth: "-2", spec: #"{"tags":[],"n":null,"deep":{"a":{"b":[7]}}}"#),
    ]
    try await feeder.publish(
      rows.map { change(1, $0, in: schema) }
        + [change(0, Row([.text("DE"), .text("Ulm")]), in: schema)])
    return Store(folder: folder, store: try DocumentStore(path: folder.path + "/shop.docs"))
  }

  @Test func equalsComeInTheOrderOfTheirKeys() async throws {
    let keys: [(type: String, values: [Value])] = [
      ("Int", [-10, -9, 0, 9, 10, 100, .max].map { .int($0) }),
      (
        "Text(20)",
        ["", "!", "9", "A", "Z", "_", "a", "aZ", "a\u{301}", "b", "é", "\u{1F600}"].map {
          .text($0)
        }
      ),
      (
        "Decimal(12, 2)",
        ["-10", "-9.99", "0", "9.99", "10", "100"].map { .decimal(ExactDecimal($0)!) }
      ),
      (
        "Decimal(38, 4)",
        [
          "-100000000000000000000", "-99.5", "-1", "0", "0.0001", "2", "10.5",
          "100000000000000000000",
        ]
        .map { .decimal(ExactDecimal($0)!) }
      ),
      ("Date", ["0001-01-01", "0999-12-31", "1970-01-01"].map { .date(CalendarDate($0)!) }),
      (
        "Timestamp",
        [
          "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.5Z", "2024-01-01T00:00:00.51Z",
          "2024-01-01T00:00:01Z",
        ]
        .map { .timestamp(Timestamp($0)!) }
      ),
      ("Bytes(9)", [[], [0], [0, 255], [1], [0x3F], [0xA0], [0xFF]].map { .bytes($0) }),
      ("Bool", [.bool(false), .bool(true)]),
      (
        "UUID",
        [1, 0x9F, 0xA0, 0xFF].map { .uuid(UUIDBytes(bytes: [UInt8](repeating: $0, count: 16))!) }
      ),
      ("Kind", ["A", "a", "b"].map { .text($0) }),
    ]
    for (type, values) in keys {
      let schema = try Schema.parse(
        "schema S\nallow everything\nenum Kind { b, a, A }\ncollection T { id: \(type) @key  n: Int @index  m: Int }\n"
          + "collection U { t: T @key  n: Int @key }")
      let folder = Folder()
      var feeder = Feeder(DocumentFileAdapter(path: folder.path + "/t.docs"), schema)
      var generator = SystemRandomNumberGenerator()
      try await feeder.publish(
        values.shuffled(using: &generator).map {
          change(0, Row([$0, .int(1), .int(1)]), in: schema)
        }
          + values.shuffled(using: &generator).flatMap { value in
            [10, 9].map { change(1, Row([.reference(Key([value])), .int($0)]), in: schema) }
          })
      let store = try DocumentStore(path: folder.path + "/t.docs")
      let plan = try DocumentPlan(schema: schema)
      let ids = values.map { plan.collections[0].id(of: Key([$0])) ?? "" }
      for (query, sort) in [
        ("{}", []), (#"{"n":1}"#, []), ("{}", [FindOptions.Sort("m", descending: true)]),
      ] {
        let found = try store.find("T", try DocumentQuery(query), FindOptions(sort: sort))
          .map { if case .string(let id)? = $0["_id"] { id } else { "?" } }
        #expect(found == ids, "\(type) \(query)")
      }
      // As many as fit, without a look at the rest.
      let explained = try store.explain("T", .everything, FindOptions(limit: 2))
      #expect(!explained.plan.contains { $0.contains("TEMP B-TREE") }, "\(type): \(explained.plan)")
      guard !type.hasPrefix("Bytes") else { continue }
      let pairs = try store.find("U").compactMap { document -> String? in
        if case .string(let id)? = document["_id"] { id } else { nil }
      }
      #expect(
        pairs
          == values.flatMap { value in
            [9, 10].map {
              plan.collections[1].id(of: Key([.reference(Key([value])), .int($0)])) ?? ""
            }
          }, "\(type)")
    }
  }

  @Test func uniqueFieldsHaveUniqueIndices() async throws {
    let shop = try await Self.shop()
    let db = try Connection(
      path: shop.folder.path + "/shop.docs", mode: .readOnly, trustsSchema: true)
    #expect(
      try db.integer(
        "SELECT \"unique\" FROM pragma_index_list('Product') WHERE name = 'Product.serial'") == 1)
    #expect(
      try db.integer("SELECT count(*) FROM pragma_index_list('Product') WHERE \"unique\"") == 2)
    // Somebody's document in the way of one that comes is found, and leads to a new generation.
    let other = try Connection(
      path: shop.folder.path + "/shop.docs", mode: .readWrite, trustsSchema: true)
    #expect(throws: SQLiteError.self) {
      try other.execute(
        "INSERT INTO Product (_id, document) SELECT 'zz', document FROM Product WHERE _id = 'a'")
    }
  }

  @Test func fieldsThatTheSchemaKnowsCompareAsTheirTypesDo() async throws {
    let shop = try await Self.shop()
    for (query, found) in [
      ("{}", "abcde"), (#"{"sku":"a"}"#, "a"), (#"{"_id":"b"}"#, "b"), (#"{"_id":"+b"}"#, ""),
      (#"{"_id":{"$in":["a","c","zz"]}}"#, "ac"), (#"{"_id":{"$ne":"a"}}"#, "bcde"),
      // Decimals are strings in documents and numbers in queries, exact ones.
      (#"{"price":{"$lt":10}}"#, "ace"), (#"{"price":"9.90"}"#, "ae"), (#"{"price":9.9}"#, "ae"),
      (#"{"price":{"$lte":9.899999999999999999999}}"#, "c"),
      (#"{"price":{"$gt":9.899999999999999999999}}"#, "abde"),
      (#"{"price":{"$gte":9.900000000000000000001}}"#, "bd"), (#"{"price":9.901}"#, ""),
      (#"{"price":{"$lt":1e30}}"#, "abcde"), (#"{"price":{"$gt":1e30}}"#, ""),
      (#"{"price":{"$gt":-1e30}}"#, "abcde"), (#"{"price":{"$in":[10,"100",7]}}"#, "bd"),
      (#"{"price":{"$gte":-3.05,"$lt":9.9}}"#, "c"), (#"{"price":{"$ne":10}}"#, "acde"),
      (#"{"wealth":{"$lt":0}}"#, "ae"), (#"{"wealth":{"$gt":-2}}"#, "bc"),
      (#"{"wealth":{"$gte":-2}}"#, "bce"), (#"{"wealth":{"$lt":-2}}"#, "a"),
      (#"{"wealth":99999999999999999999.9}"#, "c"), (#"{"wealth":null}"#, "d"),
      (#"{"wealth":{"$not":{"$lt":0}}}"#, "bcd"), (#"{"wealth":{"$exists":false}}"#, "d"),
      (#"{"stock":9223372036854775807}"#, "b"), (#"{"stock":{"$gt":9223372036854775806.5}}"#, "b"),
      (#"{"stock":{"$lt":1e20}}"#, "abcde"), (#"{"stock":0.5}"#, ""),
      (#"{"stock":{"$gte":0.5}}"#, "ab"), (#"{"stock":{"$lt":-6.5}}"#, "c"),
      (#"{"heat":0.1}"#, "a"), (#"{"heat":{"$gt":1e300}}"#, "b"), (#"{"heat":"-Infinity"}"#, "c"),
      (#"{"heat":{"$lt":0.5}}"#, "ac"), (#"{"heat":{"$exists":true}}"#, "abc"),
      (#"{"added":{"$gte":"2024-02-01"}}"#, "b"), (#"{"added":{"$ne":"2024-02-01"}}"#, "acde"),
      (#"{"at":{"$lt":"2024-01-31T14:00:00+01:00"}}"#, "a"), (#"{"kind":"big"}"#, "a"),
      (#"{"kind":{"$nin":["big"]}}"#, "bcde"), (#"{"kind":{"$in":[null,"small"]}}"#, "bcde"),
      (#"{"size.width":{"$lt":10}}"#, "a"), (#"{"size":{"width":"10.00","unit":"mm"}}"#, "b"),
      (#"{"town":{"land":"DE","name":"Ulm"}}"#, "a"), (#"{"town.name":"Bonn"}"#, "b"),
      (#"{"other":"a"}"#, "b"), (#"{"other":{"$gt":"a"}}"#, "c"),
      (#"{"$or":[{"price":10},{"stock":1}]}"#, "ab"),
      (#"{"$and":[{"price":{"$gt":0}},{"$or":[{"stock":0},{"stock":1}]}]}"#, "ade"),
      (#"{"name":{"$regex":"^name [ab]$"}}"#, "ab"), (#"{"name":{"$regex":"^name"}}"#, "abcde"),
      (#"{"name":{"$regex":"NAME A","$options":"i"}}"#, "a"),
      (#"{"name":{"$not":{"$regex":"[a-d]$"}}}"#, "e"), (#"{"name":{"$in":[]}}"#, ""),
    ] {
      #expect(try shop.skus(query) == found, "\(query)")
    }
    #expect(try shop.store.find("Town", try DocumentQuery(#"{"name":"Ulm"}"#)).count == 1)
  }

  @Test func pathsGoThroughArraysInsideJSON() async throws {
    let shop = try await Self.shop()
    for (query, found) in [
      (#"{"spec.color":"red"}"#, "ac"), (#"{"spec.tags":"sale"}"#, "ab"),
      (#"{"spec":"sale"}"#, "c"), (#"{"spec.tags":["sale","new"]}"#, "a"),
      (#"{"spec.tags":{"$in":["new","x"]}}"#, "a"), (#"{"spec.tags":{"$nin":["sale"]}}"#, "cde"),
      (#"{"spec.tags":{"$size":2}}"#, "a"), (#"{"spec.tags":{"$size":0}}"#, "e"),
      (#"{"spec":{"$size":4}}"#, "c"), (#"{"spec.tags.0":"sale"}"#, "a"),
      (#"{"spec.1.0":1}"#, "c"), (#"{"spec.sizes.w":3}"#, "ab"), (#"{"spec.sizes.1.w":3}"#, "a"),
      (#"{"spec.sizes.0.w":3}"#, ""), (#"{"spec.sizes":{"$elemMatch":{"w":1,"h":2}}}"#, "a"),
      (#"{"spec.sizes":{"$elemMatch":{"w":1,"h":4}}}"#, ""),
      (#"{"spec.sizes":{"$elemMatch":{"$or":[{"w":9},{"h":{"$gt":3}}]}}}"#, "a"),
      (#"{"spec":{"$elemMatch":{"$gt":5}}}"#, "c"),
      (#"{"spec":{"$elemMatch":{"$in":["sale"]}}}"#, "c"),
      (#"{"spec":9007199254740993}"#, "c"), (#"{"spec":9007199254740992}"#, ""),
      (#"{"spec.n":{"$gt":1}}"#, "b"), (#"{"spec.n":{"$gte":1}}"#, "ab"), (#"{"spec.n":1.5}"#, "b"),
      (#"{"spec.n":null}"#, "cde"), (#"{"spec.n":{"$exists":true}}"#, "abe"),
      (#"{"spec.n":{"$exists":false}}"#, "cd"), (#"{"spec":null}"#, "d"),
      (#"{"spec":{"$exists":true}}"#, "abcde"), (#"{"spec.deep.a.b":7}"#, "e"),
      (#"{"spec.deep.a":{"b":[7]}}"#, "e"), (#"{"spec.color":{"$ne":"red"}}"#, "bde"),
      (#"{"spec.color":{"$not":{"$regex":"^r"}}}"#, "bde"),
      (#"{"spec.color":{"$regex":"E","$options":"i"}}"#, "abc"),
      (#"{"spec.color":{"$gt":"blue"}}"#, "ac"), (#"{"spec.n":{"$gt":"a"}}"#, ""),
      (#"{"spec.n":true}"#, ""),
    ] {
      #expect(try shop.skus(query) == found, "\(query)")
    }
  }

  @Test func whatIsNoQueryIsRefusedWithAReason() async throws {
    let shop = try await Self.shop()
    for (query, reason) in [
      ("", "not JSON"), ("[]", "object"), (#"{"price":{"$near":1}}"#, "no operator $near"),
      (#"{"$where":"1"}"#, "no operator $where"), (#"{"$nor":[{}]}"#, "no operator $nor"),
      (#"{"$lt":1}"#, "inside the value of a field"),
      (#"{"price":{"$lt":1,"x":2}}"#, "do not go together"),
      (#"{"$and":[]}"#, "at least one"), (#"{"$or":{}}"#, "array"), (#"{"a..b":1}"#, "no path"),
      (#"{"colour":1}"#, "has no colour"), (#"{"size.depth":1}"#, "has no depth"),
      (#"{"price.x":1}"#, "has no members"), (#"{"price":"cheap"}"#, "expected a number"),
      (#"{"price":true}"#, "expected a number"), (#"{"stock":"1"}"#, "expected a number"),
      (#"{"added":"yesterday"}"#, "expected a date"), (#"{"kind":"huge"}"#, "case of the enum"),
      (#"{"name":{"$in":1}}"#, "takes an array"),
      (#"{"name":{"$regex":"("}}"#, "regular expression"),
      (#"{"name":{"$regex":"a","$options":"x"}}"#, "$options"),
      (#"{"name":{"$options":"i"}}"#, "$options"),
      (#"{"name":{"$exists":1}}"#, "true or false"), (#"{"name":{"$size":1}}"#, "no array"),
      (#"{"stock":{"$regex":"1"}}"#, "for texts"),
      (#"{"name":{"$not":"a"}}"#, "object of operators"),
      (#"{"size":{"$gt":{}}}"#, "no order"), (#"{"name":{"$gt":null}}"#, "no order"),
      (#"{"spec.n":{"$gt":true}}"#, "order"), (#"{"_id":5}"#, "string"),
    ] {
      do {
        _ = try shop.skus(query)
        Issue.record("\(query) was answered")
      } catch let error as QueryError {
        #expect(error.message.contains(reason), "\(query): \(error)")
      }
    }
    #expect(throws: QueryError.self) { try shop.store.find("Nothing") }
    #expect(throws: QueryError.self) { try DocumentStore(path: "/nonexistent/x.docs") }
  }

  @Test func answersAreOrderedAndCut() async throws {
    let shop = try await Self.shop()
    func skus(_ sort: [FindOptions.Sort], limit: Int? = nil) throws -> String {
      try shop.skus("{}", FindOptions(sort: sort, limit: limit))
    }
    #expect(try skus([.init("price")]) == "caebd")
    #expect(try skus([.init("price", descending: true)]) == "dbaec")
    #expect(try skus([.init("wealth")]) == "daebc")
    #expect(try skus([.init("wealth", descending: true)]) == "cbead")
    #expect(try skus([.init("heat")]) == "decab")
    #expect(try skus([.init("kind"), .init("sku", descending: true)]) == "edcab")
    #expect(try skus([.init("spec.color"), .init("_id")]) == "cdeba")
    #expect(try skus([.init("price")], limit: 2) == "ca")
    let cut = try shop.store.find(
      "Product", try DocumentQuery(#"{"sku":"a"}"#),
      FindOptions(fields: ["price", "spec.sizes.w", "size.unit", "other"]))
    #expect(
      cut.map(\.text) == [
        #"{"_id":"a","price":"9.90","size":{"unit":"mm"},"spec":{"sizes":[{"w":1},{"w":3}]}}"#
      ])
  }

  @Test func indicesServeQueries() async throws {
    let shop = try await Self.shop()
    for (query, index) in [
      (#"{"price":{"$lt":10}}"#, "Product.price"), (#"{"price":9.9}"#, "Product.price"),
      (#"{"price":{"$in":[1,2]}}"#, "Product.price"), (#"{"name":"x"}"#, "Product.name"),
      (#"{"name":{"$regex":"^na"}}"#, "Product.name"), (#"{"stock":{"$gte":5}}"#, "Product.stock"),
      (#"{"heat":{"$gt":5}}"#, "Product.heat"), (#"{"added":"2024-01-31"}"#, "Product.added"),
      (#"{"serial":"s-a"}"#, "Product.serial"), (#"{"kind":"big"}"#, "Product.kind"),
      (#"{"other":"a"}"#, "Product.other"), (#"{"_id":"a"}"#, "sqlite_autoindex_Product"),
      (#"{"spec.n":1,"stock":3}"#, "Product.stock"),
    ] {
      let explanation = try shop.store.explain("Product", try DocumentQuery(query))
      #expect(
        explanation.plan.contains { $0.contains("SEARCH") && $0.contains(index) },
        "\(query): \(explanation)")
      // Values are parameters, never part of the statement.
      #expect(!explanation.statement.contains("s-a") && !explanation.statement.contains("2024"))
    }
    let scan = try shop.store.explain("Product", try DocumentQuery(#"{"wealth":{"$lt":1}}"#))
    #expect(scan.plan.contains { $0.hasPrefix("SCAN") })
    let sorted = try shop.store.explain(
      "Product", .everything, FindOptions(sort: [.init("stock")]))
    #expect(sorted.plan.contains { $0.contains("Product.stock") })
  }

  @Test func hostileTextsStayTexts() async throws {
    let shop = try await Self.shop()
    for text in ["' OR 1=1 --", "\"; DROP TABLE Product; --", "?1", "%", "$", "\\"] {
      var quoted: [UInt8] = []
      JSONText.write(text, into: &quoted)
      let literal = String(decoding: quoted, as: UTF8.self)
      #expect(try shop.skus(#"{"name":\#(literal)}"#) == "")
      #expect(try shop.skus(#"{"spec.color":\#(literal)}"#) == "")
      #expect(try shop.skus(#"{"_id":\#(literal)}"#) == "")
      // As a name inside JSON.
      if !text.hasPrefix("$"), !text.contains(".") {
        #expect(try shop.skus(#"{"spec.\#(literal.dropFirst().dropLast())":1}"#) == "")
      }
    }
    #expect(try shop.skus("{}") == "abcde")
  }

  @Test func aFileOfSomethingElseIsLeftAlone() async throws {
    let folder = Folder()
    let path = folder.path + "/other.docs"
    do {
      let connection = try Connection(path: path, mode: .createIfMissing)
      try connection.execute("CREATE TABLE mine (x)")
    }
    let schema = try Schema.parse(Self.text)
    let feeder = Feeder(DocumentFileAdapter(path: path), schema)
    let batch = feeder.batch(
      [.begin(generation: 0)], .snapshot(generation: 0, progress: .rows(upTo: nil)))
    let error = try await failure { try await feeder.adapter.apply(batch) }
    #expect(error.code == .occupied)
    #expect(throws: QueryError.self) { try DocumentStore(path: path) }
  }
}

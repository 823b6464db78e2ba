import HeadwaterModel
import HeadwaterStream
import SQLiteDriver

/// How an answer is ordered and cut.
public struct FindOptions: Sendable {
  /// A path to order by.
  public struct Sort: Sendable {
    /// Names with dots between them.
    public let path: String
    public let isDescending: Bool

    public init(_ path: String, descending: Bool = false) {
      self.path = path
      isDescending = descending
    }
  }

  /// The first counts most; where documents are equal in all of them, the key decides.
  public var sort: [Sort]
  /// At most so many documents; nil for all.
  public var limit: Int?
  /// The members that documents are cut down to, by their paths, besides `_id`; empty for all.
  public var fields: [String]

  public init(sort: [Sort] = [], limit: Int? = nil, fields: [String] = []) {
    self.sort = sort
    self.limit = limit
    self.fields = fields
  }
}

/// What `find` makes of a query.
public struct QueryExplanation: Sendable {
  /// The statement, with `?1` and so on for the values of the query.
  public let statement: String
  /// How SQLite will go about it, a step a line: `SEARCH … USING INDEX …` where an index serves.
  public let plan: [String]
}

/// Asks a file of documents that a mirror keeps. Reads only; the mirror may go on meanwhile.
///
/// Not `Sendable`: whoever opened it uses it, on one thread at a time. Each call sees one state of the file, and the
/// generation that is published then.
public final class DocumentStore {
  /// Where the file is.
  public let path: String
  private let connection: Connection
  private let patterns = PatternCache()

  /// Opens the file.
  ///
  /// - Throws: `QueryError` where there is none, or it is not one of documents.
  public init(path: String) throws(QueryError) {
    self.path = path
    do {
      connection = try Connection(path: path, mode: .readOnly, trustsSchema: true)
      connection.setBusyTimeout(milliseconds: 5_000)
      let patterns = patterns
      try connection.addPredicate("headwater_matches", argumentCount: 3) { arguments in
        guard let text = arguments[0], let pattern = arguments[1] else { return nil }
        return try patterns.matches(text, pattern, options: arguments[2] ?? "")
      }
      guard
        try connection.integer("PRAGMA application_id") == DocumentTables.applicationID
      else {
        throw QueryError("\(path) is no file of documents: mirror into it first")
      }
    } catch let error as QueryError {
      throw error
    } catch {
      throw QueryError(
        "cannot open \(path): \((error as? SQLiteError)?.message ?? "\(error)")")
    }
  }

  /// The names of the collections.
  public func collections() throws(QueryError) -> [String] {
    try reading { try plan().plan.collections.map(\.collectionName) }
  }

  /// Calls `body` with each document that answers the query: its JSON, compact, as the mirror wrote it.
  ///
  /// - Throws: `QueryError`; or what `body` throws.
  public func find(
    _ collection: String, _ query: DocumentQuery = .everything, _ options: FindOptions = .init(),
    _ body: ([UInt8]) throws -> Void
  ) throws {
    var thrown: (any Error)?
    try reading {
      let (statement, _) = try prepared(collection, query, options)
      let projection = try Projection(options.fields)
      while try statement.step() {
        do {
          try body(try projection.apply(statement.bytes(0)))
        } catch {
          statement.reset()
          thrown = error
          return
        }
      }
    }
    if let thrown { throw thrown }
  }

  /// All documents that answer the query.
  public func find(
    _ collection: String, _ query: DocumentQuery = .everything, _ options: FindOptions = .init()
  ) throws -> [JSON] {
    var found: [JSON] = []
    try find(collection, query, options) { found.append(try JSON(text: $0)) }
    return found
  }

  /// How `find` would go about it.
  public func explain(
    _ collection: String, _ query: DocumentQuery = .everything, _ options: FindOptions = .init()
  ) throws(QueryError) -> QueryExplanation {
    try reading {
      let (_, sql) = try prepared(collection, query, options)
      let steps = try connection.prepare("EXPLAIN QUERY PLAN " + sql)
      var plan: [String] = []
      while try steps.step() { plan.append(steps.text(3)) }
      return QueryExplanation(statement: sql, plan: plan)
    }
  }

  private func prepared(
    _ name: String, _ query: DocumentQuery, _ options: FindOptions
  ) throws -> (Statement, String) {
    let (plan, tables) = try plan()
    guard let collection = plan.collection(named: name) else {
      let names = plan.collections.map(\.collectionName).joined(separator: ", ")
      throw QueryError("there is no collection \(name); there are \(names)")
    }
    var compiler = QueryCompiler(plan, collection)
    let sql = try compiler.select(query, options, from: tables[collection.index])
    guard compiler.builder.parameters.count <= 32_000 else {
      throw QueryError("a query of too many values")
    }
    let statement = try connection.prepare(sql)
    for (index, parameter) in compiler.builder.parameters.enumerated() {
      let number = Int32(index + 1)
      switch parameter {
      case .text(let text): statement.bind(number, text)
      case .int(let value): statement.bind(number, value)
      case .double(let value): statement.bind(number, value)
      case .bytes(let bytes): statement.bind(number, bytes)
      }
    }
    return (statement, sql)
  }

  /// The plan of the published generation, and its tables.
  private func plan() throws -> (plan: DocumentPlan, tables: [String]) {
    let tables = DocumentTables(connection: connection)
    guard let published = try tables.state()?.published,
      let text = try tables.schemaText(of: published)
    else { throw QueryError("\(path) has no published documents yet: let the mirror finish") }
    let plan = try DocumentPlan(schema: try Schema.parse(text))
    let names = try tables.tables(of: published)
    guard names.count == plan.collections.count else {
      throw QueryError("\(path) is not as a mirror made it: rebuild it")
    }
    return (plan, names)
  }

  private func reading<R>(_ body: () throws -> R) throws(QueryError) -> R {
    do {
      return try connection.readTransaction(body)
    } catch let error as QueryError {
      throw error
    } catch let error as SQLiteError {
      throw QueryError("\(path): \(error.message)")
    } catch let error as AdapterError {
      throw QueryError(error.message)
    } catch {
      throw QueryError("\(path) is not as a mirror made it: rebuild it")
    }
  }
}

/// Cuts documents down to some members.
struct Projection {
  private final class Node {
    var inner: [(name: String, node: Node)] = []
    var isWhole = false
  }

  private let root: Node?

  init(_ fields: [String]) throws(QueryError) {
    guard !fields.isEmpty else {
      root = nil
      return
    }
    let root = Node()
    for field in ["_id"] + fields {
      var node = root
      for name in try QueryParser.path(field) {
        if let next = node.inner.first(where: { utf8Compare($0.name, name) == 0 }) {
          node = next.node
        } else {
          let next = Node()
          node.inner.append((name, next))
          node = next
        }
      }
      node.isWhole = true
    }
    self.root = root
  }

  func apply(_ document: [UInt8]) throws -> [UInt8] {
    guard let root else { return document }
    var out: [UInt8] = []
    Projection.write(Projection.cut(try RawJSON(text: document), root), into: &out)
    return out
  }

  private static func cut(_ raw: RawJSON, _ node: Node) -> RawJSON {
    if node.isWhole { return raw }
    switch raw {
    case .object(let members):
      return .object(
        members.compactMap { member in
          node.inner.first { utf8Compare($0.name, member.name) == 0 }.map {
            RawJSON.Member(member.name, cut(member.value, $0.node))
          }
        })
    // A path goes through arrays on its way.
    case .array(let elements): return .array(elements.map { cut($0, node) })
    default: return raw
    }
  }

  private static func write(_ raw: RawJSON, into out: inout [UInt8]) {
    switch raw {
    case .null: out.append(contentsOf: "null".utf8)
    case .bool(let value): JSONText.write(value, into: &out)
    case .number(let digits): out.append(contentsOf: digits.utf8)
    case .string(let text): JSONText.write(text, into: &out)
    case .array(let elements):
      out.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        write(element, into: &out)
      }
      out.append(UInt8(ascii: "]"))
    case .object(let members):
      out.append(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        JSONText.write(member.name, into: &out)
        out.append(UInt8(ascii: ":"))
        write(member.value, into: &out)
      }
      out.append(UInt8(ascii: "}"))
    }
  }
}

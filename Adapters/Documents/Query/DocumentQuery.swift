import HeadwaterModel

/// A question to a collection of documents, in the language that document databases made customary.
///
/// `{"price": {"$lt": 10}, "size.unit": "mm"}`: every member must hold. The operators are `$eq $ne $gt $gte $lt $lte
/// $in $nin $exists $not $regex $size $elemMatch` at a path, `$and` and `$or` around whole queries. Anything else that
/// begins with `$` is refused.
public struct DocumentQuery: Sendable {
  let filter: Filter

  /// - Throws: `QueryError` that says where and why the text is no query.
  public init(_ text: String) throws(QueryError) {
    let raw: RawJSON
    do throws(JSONError) {
      raw = try RawJSON(text: text)
    } catch {
      throw QueryError("the query is not JSON: \(error.message)")
    }
    try self.init(raw)
  }

  /// As `init(_:)` of the text of it.
  public init(_ raw: RawJSON) throws(QueryError) {
    filter = try QueryParser.filter(raw, depth: 0)
  }

  /// The query that every document answers.
  public static let everything = DocumentQuery(filter: .all([]))

  private init(filter: Filter) { self.filter = filter }

  indirect enum Filter: Sendable {
    case all([Filter])
    case any([Filter])
    case at([String], [Condition])
  }

  /// What must hold of the value at a path.
  indirect enum Condition: Sendable {
    case compare(Comparison, RawJSON)
    case isIn([RawJSON])
    case exists(Bool)
    case regex(String, options: String)
    case size(Int64)
    /// Of one and the same element of an array.
    case element([Condition])
    case elementObject(Filter)
    case not([Condition])
  }

  enum Comparison: String, Sendable {
    case equal = "="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
  }
}

/// Why a question cannot be asked or answered.
public struct QueryError: Error, Sendable, CustomStringConvertible {
  /// What is wrong, and what to write instead.
  public let message: String

  /// An error with that message.
  public init(_ message: String) { self.message = message }

  public var description: String { message }
}

enum QueryParser {
  static let operators = [
    "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$not", "$regex",
    "$size", "$elemMatch",
  ]
  private static let deepest = 32

  static func filter(_ raw: RawJSON, depth: Int) throws(QueryError) -> DocumentQuery.Filter {
    guard depth < deepest else { throw QueryError("the query is nested too deep") }
    guard let members = raw.members else {
      throw QueryError("a query is an object, {\"field\": value}")
    }
    var filters: [DocumentQuery.Filter] = []
    for member in members {
      switch member.name {
      case "$and": filters.append(.all(try alternatives(member, depth)))
      case "$or": filters.append(.any(try alternatives(member, depth)))
      case let name where name.hasPrefix("$"):
        throw QueryError(
          operators.contains(name)
            ? "\(name) stands inside the value of a field: {\"field\": {\"\(name)\": …}}"
            : unknown(name))
      default:
        filters.append(
          .at(try path(member.name), try conditions(member.value, member.name, depth)))
      }
    }
    return filters.count == 1 ? filters[0] : .all(filters)
  }

  private static func unknown(_ name: String) -> String {
    "there is no operator \(name): there are \(operators.joined(separator: " ")), and $and and $or "
      + "around queries"
  }

  private static func alternatives(_ member: RawJSON.Member, _ depth: Int) throws(QueryError)
    -> [DocumentQuery.Filter]
  {
    guard let elements = member.value.elements, !elements.isEmpty else {
      throw QueryError("\(member.name) takes an array of queries, at least one")
    }
    var filters: [DocumentQuery.Filter] = []
    for element in elements { filters.append(try filter(element, depth: depth + 1)) }
    return filters
  }

  /// The names along a dotted path.
  static func path(_ text: String) throws(QueryError) -> [String] {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard !parts.contains("") else {
      throw QueryError("\(text) is no path: names with one dot between them")
    }
    guard parts.count <= deepest else { throw QueryError("a path of too many names") }
    return parts
  }

  private static func conditions(_ raw: RawJSON, _ path: String, _ depth: Int)
    throws(QueryError) -> [DocumentQuery.Condition]
  {
    guard let members = raw.members, let first = members.first, first.name.hasPrefix("$") else {
      return [.compare(.equal, raw)]
    }
    var conditions: [DocumentQuery.Condition] = []
    for member in members {
      guard member.name.hasPrefix("$") else {
        throw QueryError("\(path): operators and the member \(member.name) do not go together")
      }
      if member.name == "$options" { continue }
      conditions.append(try condition(member, raw, path, depth))
    }
    guard !conditions.isEmpty else { throw QueryError("\(path): $options goes with $regex") }
    if raw["$options"] != nil, raw["$regex"] == nil {
      throw QueryError("\(path): $options goes with $regex")
    }
    return conditions
  }

  private static func condition(
    _ member: RawJSON.Member, _ owner: RawJSON, _ path: String, _ depth: Int
  ) throws(QueryError) -> DocumentQuery.Condition {
    let value = member.value
    switch member.name {
    case "$eq": return .compare(.equal, value)
    case "$ne": return .not([.compare(.equal, value)])
    case "$gt": return .compare(.greater, value)
    case "$gte": return .compare(.greaterOrEqual, value)
    case "$lt": return .compare(.less, value)
    case "$lte": return .compare(.lessOrEqual, value)
    case "$in", "$nin":
      guard let elements = value.elements else {
        throw QueryError("\(path): \(member.name) takes an array")
      }
      guard elements.count <= 10_000 else {
        throw QueryError("\(path): \(member.name) takes at most 10,000 values")
      }
      return member.name == "$in" ? .isIn(elements) : .not([.isIn(elements)])
    case "$exists":
      guard case .bool(let wanted) = value else {
        throw QueryError("\(path): $exists takes true or false")
      }
      return .exists(wanted)
    case "$size":
      guard let size = value.int, size >= 0 else {
        throw QueryError("\(path): $size takes a whole number")
      }
      return .size(size)
    case "$regex":
      guard let pattern = value.string else { throw QueryError("\(path): $regex takes a string") }
      var options = ""
      if let given = owner["$options"] {
        guard let text = given.string, text.allSatisfy({ "ims".contains($0) }) else {
          throw QueryError("\(path): $options takes the letters i, m and s")
        }
        options = text
      }
      do { _ = try PatternCache.compile(pattern, options: options) } catch {
        throw QueryError("\(path): $regex takes a regular expression, and this is none")
      }
      return .regex(pattern, options: options)
    case "$not":
      guard value.members?.first?.name.hasPrefix("$") == true else {
        throw QueryError("\(path): $not takes an object of operators")
      }
      guard depth < deepest else { throw QueryError("the query is nested too deep") }
      return .not(try conditions(value, path, depth + 1))
    case "$elemMatch":
      guard let members = value.members, let first = members.first else {
        throw QueryError("\(path): $elemMatch takes an object of operators, or a query")
      }
      if first.name.hasPrefix("$"), first.name != "$and", first.name != "$or" {
        guard depth < deepest else { throw QueryError("the query is nested too deep") }
        return .element(try conditions(value, path, depth + 1))
      }
      return .elementObject(try filter(value, depth: depth + 1))
    default: throw QueryError("\(path): " + unknown(member.name))
    }
  }
}

/// Regular expressions, compiled once each. Confined like the connection that asks.
final class PatternCache {
  private var compiled: [String: Regex<AnyRegexOutput>] = [:]

  /// - Throws: what the parser of regular expressions throws.
  static func compile(_ pattern: String, options: String) throws -> Regex<AnyRegexOutput> {
    var regex = try Regex(pattern).matchingSemantics(.unicodeScalar)
    if options.contains("i") { regex = regex.ignoresCase() }
    if options.contains("m") { regex = regex.anchorsMatchLineEndings() }
    if options.contains("s") { regex = regex.dotMatchesNewlines() }
    return regex
  }

  func matches(_ text: String, _ pattern: String, options: String) throws -> Bool {
    let name = options + "/" + pattern
    let regex = try compiled[name] ?? PatternCache.compile(pattern, options: options)
    compiled[name] = regex
    return text.contains(regex)
  }
}

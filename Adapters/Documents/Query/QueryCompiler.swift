import HeadwaterModel

/// Turns a query into one SELECT with parameters.
struct QueryCompiler {
  let plan: DocumentPlan
  let collection: DocumentCollection
  private(set) var builder = SQLBuilder()
  /// Whether a condition names a field that has an index.
  private var namesIndexedField = false

  init(_ plan: DocumentPlan, _ collection: DocumentCollection) {
    self.plan = plan
    self.collection = collection
  }

  /// The statement that finds the documents; its one column is the document.
  mutating func select(_ query: DocumentQuery, _ options: FindOptions, from table: String)
    throws(QueryError) -> String
  {
    var sql = "SELECT document FROM \"\(table)\""
    let condition = try condition(query.filter)
    if condition != "1" { sql += " WHERE \(condition)" }
    var order: [String] = []
    for sort in options.sort {
      switch try resolve(try QueryParser.path(sort.path)) {
      case .id: order.append("_id" + (sort.isDescending ? " DESC" : ""))
      case .typed(let expression):
        order += expression.order(descending: sort.isDescending)
      case .json(let field, let rest):
        order += DocumentExpression(.json, field + rest).order(descending: sort.isDescending)
      }
    }
    // So that an answer is the same each time, and pages fit together: in the order of keys. The plus keeps SQLite,
    // which knows nothing of how many documents a range holds, from walking all keys in order instead of using the
    // field's index.
    var keys = collection.keyOrder
    if namesIndexedField, options.sort.isEmpty { keys[0] = "+" + keys[0] }
    order += keys
    sql += " ORDER BY " + order.joined(separator: ", ")
    if let limit = options.limit { sql += " LIMIT \(max(0, limit))" }
    return sql
  }

  // MARK: Paths

  private enum Target {
    case id
    case typed(DocumentExpression)
    /// The way to a field of any JSON, and what is left of the path within it.
    case json([String], [String])
  }

  private func resolve(_ path: [String]) throws(QueryError) -> Target {
    if path == ["_id"] { return .id }
    var fields = collection.fields
    var shape: DocumentShape?
    for (position, name) in path.enumerated() {
      guard
        let field = fields.first(where: { utf8Compare($0.name, name) == 0 })
          ?? fields.first(where: { utf8Compare($0.fieldName, name) == 0 })
      else {
        let names = fields.map(\.name).joined(separator: ", ")
        throw QueryError(
          fields.isEmpty
            ? "\(path.prefix(position).joined(separator: ".")) has no members"
            : "\(position == 0 ? collection.collectionName : path.prefix(position).joined(separator: ".")) "
              + "has no \(name); it has \(names)")
      }
      shape = field.shape
      if case .json = field.shape {
        return .json(
          Array(path.prefix(position)) + [field.name], Array(path.dropFirst(position + 1)))
      }
      fields = QueryCompiler.members(of: field.shape)
    }
    guard let shape else { throw QueryError("an empty path") }
    return .typed(DocumentExpression(shape, try names(path)))
  }

  private static func members(of shape: DocumentShape) -> [DocumentField] {
    switch shape {
    case .record(_, let fields): fields
    case .reference(_, let fields) where fields.count == 1: members(of: fields[0].shape)
    case .reference(_, let fields): fields
    default: []
    }
  }

  /// A path with the names that documents have.
  private func names(_ path: [String]) throws(QueryError) -> [String] {
    var fields = collection.fields
    var names: [String] = []
    for name in path {
      guard
        let field = fields.first(where: { utf8Compare($0.name, name) == 0 })
          ?? fields.first(where: { utf8Compare($0.fieldName, name) == 0 })
      else { break }
      names.append(field.name)
      fields = QueryCompiler.members(of: field.shape)
    }
    return names
  }

  // MARK: Conditions

  private mutating func condition(_ filter: DocumentQuery.Filter) throws(QueryError) -> String {
    var parts: [String] = []
    switch filter {
    case .all(let filters):
      for filter in filters { parts.append(try condition(filter)) }
      return parts.isEmpty ? "1" : "(\(parts.joined(separator: " AND ")))"
    case .any(let filters):
      for filter in filters { parts.append(try condition(filter)) }
      return "(\(parts.joined(separator: " OR ")))"
    case .at(let path, let conditions):
      let target = try resolve(path)
      for item in conditions { parts.append(try condition(item, target, path)) }
      return parts.count == 1 ? parts[0] : "(\(parts.joined(separator: " AND ")))"
    }
  }

  private mutating func condition(
    _ condition: DocumentQuery.Condition, _ target: Target, _ path: [String]
  ) throws(QueryError) -> String {
    switch target {
    case .id: return try identifier(condition)
    case .typed(let expression): return try typed(condition, expression)
    case .json(let field, let rest):
      return try JSONCondition(plan.schema, at: path.joined(separator: ".")).matches(
        "document -> \(DocumentExpression.literalPath(field))", rest, condition, &builder)
    }
  }

  private mutating func typed(
    _ condition: DocumentQuery.Condition, _ expression: DocumentExpression
  ) throws(QueryError) -> String {
    if expression.path.count == 1, let field = collection.field(named: expression.path[0]),
      field.isIndexed || field.isUnique
    {
      namesIndexedField = true
    }
    switch condition {
    case .compare(let comparison, let literal):
      return try expression.compare(comparison, literal, plan.schema, &builder)
    case .isIn(let literals):
      var parts: [String] = []
      for literal in literals {
        let part = try expression.compare(.equal, literal, plan.schema, &builder)
        if part != "0" { parts.append(part) }
      }
      if parts.isEmpty { return "0" }
      // SQLite looks each up in an index, if there is one.
      let prefix = "\(expression.sql) = "
      if parts.allSatisfy({ $0.hasPrefix(prefix) }) {
        return
          "\(expression.sql) IN (\(parts.map { String($0.dropFirst(prefix.count)) }.joined(separator: ", ")))"
      }
      return "(\(parts.joined(separator: " OR ")))"
    case .exists(let wanted): return "\(expression.sql) IS \(wanted ? "NOT " : "")NULL"
    case .regex(let pattern, let options):
      guard isText(expression.shape) else {
        throw QueryError("\(expression.path.joined(separator: ".")): $regex is for texts")
      }
      let match =
        "headwater_matches(\(expression.sql), \(builder.bind(.text(pattern))), "
        + "\(builder.bind(.text(options))))"
      // What begins with these characters stands together in an index.
      guard options.isEmpty, let (low, high) = QueryCompiler.range(pattern) else { return match }
      return "(\(expression.sql) >= \(builder.bind(.text(low))) AND \(expression.sql) < "
        + "\(builder.bind(.text(high))) AND \(match))"
    case .size, .element, .elementObject:
      throw QueryError(
        "\(expression.path.joined(separator: ".")) is no array: $size and $elemMatch are for arrays"
      )
    case .not(let conditions):
      var parts: [String] = []
      for condition in conditions { parts.append(try typed(condition, expression)) }
      return "NOT coalesce(\(parts.joined(separator: " AND ")), 0)"
    }
  }

  private func isText(_ shape: DocumentShape) -> Bool {
    switch shape {
    case .text, .enumeration, .date, .timestamp, .uuid, .principal: true
    default: false
    }
  }

  /// The texts that a pattern such as `^abc` allows: from the first up to, not including, the second.
  private static func range(_ pattern: String) -> (String, String)? {
    guard pattern.hasPrefix("^") else { return nil }
    var prefix: [UInt8] = []
    var rest = pattern.utf8.dropFirst()
    while let byte = rest.first,
      DocumentNames.isLetter(byte) || DocumentNames.isDigit(byte) || byte == 0x20 || byte == 0x2D
    {
      prefix.append(byte)
      rest = rest.dropFirst()
    }
    // The last character may be repeated, and an alternative may begin with anything.
    if let next = rest.first, "*?{+".utf8.contains(next) { prefix = Array(prefix.dropLast()) }
    guard !pattern.utf8.contains(UInt8(ascii: "|")), let last = prefix.last else { return nil }
    return (
      String(decoding: prefix, as: UTF8.self),
      String(decoding: prefix.dropLast() + [last + 1], as: UTF8.self)
    )
  }

  /// A condition on `_id`.
  private mutating func identifier(_ condition: DocumentQuery.Condition) throws(QueryError)
    -> String
  {
    switch condition {
    case .compare(.equal, let literal):
      guard let id = literal.string else { throw QueryError("_id: expected a string") }
      return lookup([id])
    case .compare(let comparison, let literal):
      guard let id = literal.string else { throw QueryError("_id: expected a string") }
      return "_id \(comparison.rawValue) \(builder.bind(.text(id)))"
    case .isIn(let literals):
      let ids = literals.compactMap(\.string)
      guard ids.count == literals.count else { throw QueryError("_id: expected strings") }
      return lookup(ids)
    case .exists(let wanted): return wanted ? "1" : "0"
    case .regex(let pattern, let options):
      return
        "headwater_matches(_id, \(builder.bind(.text(pattern))), \(builder.bind(.text(options))))"
    case .size, .element, .elementObject: throw QueryError("_id is no array")
    case .not(let conditions):
      var parts: [String] = []
      for condition in conditions { parts.append(try identifier(condition)) }
      return "NOT (\(parts.joined(separator: " AND ")))"
    }
  }

  private mutating func lookup(_ ids: [String]) -> String {
    if ids.isEmpty { return "0" }
    let parameters = ids.map { builder.bind(.text($0)) }
    return parameters.count == 1
      ? "_id = \(parameters[0])" : "_id IN (\(parameters.joined(separator: ", ")))"
  }
}

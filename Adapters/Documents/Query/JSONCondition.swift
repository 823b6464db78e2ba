import HeadwaterModel

/// Conditions on values whose form the schema does not know: what is inside a `JSON` field.
///
/// As document databases have it, a path goes through arrays on its way, and a condition holds of an array where it
/// holds of the array itself or of one of its elements. Values are rows of SQLite's `json_each`, whose columns `type`,
/// `atom` and `value` say what is to be known of one.
struct JSONCondition {
  let schema: Schema
  let place: String

  init(_ schema: Schema, at path: String) {
    self.schema = schema
    place = path
  }

  /// The condition on what `rest` leads to from the JSON text that `root` gives (NULL where there is none).
  func matches(
    _ root: String, _ rest: [String], _ condition: DocumentQuery.Condition,
    _ builder: inout SQLBuilder
  ) throws(QueryError) -> String {
    switch condition {
    case .not(let conditions):
      var parts: [String] = []
      for condition in conditions {
        parts.append(try matches(root, rest, condition, &builder))
      }
      return "NOT (\(parts.joined(separator: " AND ")))"
    case .exists(let wanted):
      let (from, _) = source(root, rest, &builder)
      return (wanted ? "" : "NOT ") + "EXISTS (SELECT 1 FROM \(from))"
    case .compare(.equal, .null):
      // As is customary, null is also what is not there.
      let (from, _) = source(root, rest, &builder)
      let (again, value) = source(root, rest, &builder)
      return "(NOT EXISTS (SELECT 1 FROM \(from)) OR EXISTS (SELECT 1 FROM \(again) WHERE "
        + (try any(value: value, condition, &builder)) + "))"
    default:
      let (from, value) = source(root, rest, &builder)
      return
        "EXISTS (SELECT 1 FROM \(from) WHERE \(try any(value: value, condition, &builder)))"
    }
  }

  /// A FROM clause whose last table has a row for each value that the path leads to.
  private func source(_ root: String, _ rest: [String], _ builder: inout SQLBuilder)
    -> (from: String, value: String)
  {
    var value = builder.alias()
    var from = "json_each('[' || (\(root)) || ']') AS \(value)"
    for name in rest {
      let holder = builder.alias()
      let next = builder.alias()
      let isIndex =
        !name.isEmpty && name.utf8.count < 10 && name.utf8.allSatisfy { $0 &- 0x30 < 10 }
      // What to look into: the object, or the elements of the array; for a number the array itself, too.
      let elements =
        isIndex
        ? "'[' || \(value).value || CASE \(value).value WHEN '[]' THEN ']' ELSE ',' || "
          + "substr(\(value).value, 2) END" : "\(value).value"
      from +=
        " JOIN json_each(CASE \(value).type WHEN 'object' THEN '[' || \(value).value || ']' "
        + "WHEN 'array' THEN \(elements) ELSE '[]' END) AS \(holder)"
      let text = builder.bind(.text(name))
      var key = "\(holder).type = 'object' AND \(next).key = \(text)"
      if isIndex, let index = Int64(name) {
        key =
          "CASE WHEN \(value).type = 'array' AND \(holder).key = 0 THEN "
          + "\(next).key = \(builder.bind(.int(index))) ELSE \(key) END"
      }
      from +=
        " JOIN json_each(CASE WHEN \(holder).type IN ('object', 'array') THEN \(holder).value "
        + "ELSE '{}' END) AS \(next) ON \(key)"
      value = next
    }
    return (from, value)
  }

  /// The condition on a value or, where it is an array, on one of its elements.
  private func any(
    value: String, _ condition: DocumentQuery.Condition, _ builder: inout SQLBuilder
  ) throws(QueryError) -> String {
    let whole = try holds(of: value, condition, &builder)
    switch condition {
    case .size, .element, .elementObject, .exists, .not: return whole
    default: break
    }
    let element = builder.alias()
    let one = try holds(of: element, condition, &builder)
    return "(\(whole) OR EXISTS (SELECT 1 FROM json_each(CASE \(value).type WHEN 'array' THEN "
      + "\(value).value ELSE '[]' END) AS \(element) WHERE \(one)))"
  }

  /// The condition on exactly this value.
  private func holds(
    of value: String, _ condition: DocumentQuery.Condition, _ builder: inout SQLBuilder
  ) throws(QueryError) -> String {
    switch condition {
    case .compare(let comparison, let literal):
      return try compare(value, comparison, literal, &builder)
    case .isIn(let literals):
      if literals.isEmpty { return "0" }
      var parts: [String] = []
      for literal in literals { parts.append(try compare(value, .equal, literal, &builder)) }
      return "(\(parts.joined(separator: " OR ")))"
    case .exists(let wanted): return wanted ? "1" : "0"
    case .regex(let pattern, let options):
      return "(\(value).type = 'text' AND headwater_matches(\(value).atom, "
        + "\(builder.bind(.text(pattern))), \(builder.bind(.text(options)))))"
    case .size(let size):
      return "(\(value).type = 'array' AND json_array_length(CASE \(value).type WHEN 'array' THEN "
        + "\(value).value ELSE '[]' END) = \(builder.bind(.int(size))))"
    case .not(let conditions):
      var parts: [String] = []
      for condition in conditions { parts.append(try holds(of: value, condition, &builder)) }
      return "NOT (\(parts.joined(separator: " AND ")))"
    case .element(let conditions):
      let element = builder.alias()
      var parts: [String] = []
      for condition in conditions { parts.append(try any(value: element, condition, &builder)) }
      return exists(value, element, parts.joined(separator: " AND "))
    case .elementObject(let filter):
      let element = builder.alias()
      let inner = try matches(element, filter, &builder)
      return exists(value, element, "\(element).type = 'object' AND \(inner)")
    }
  }

  private func exists(_ value: String, _ element: String, _ condition: String) -> String {
    "(\(value).type = 'array' AND EXISTS (SELECT 1 FROM json_each(CASE \(value).type "
      + "WHEN 'array' THEN \(value).value ELSE '[]' END) AS \(element) WHERE \(condition)))"
  }

  /// A query of its own on one element.
  private func matches(
    _ element: String, _ filter: DocumentQuery.Filter, _ builder: inout SQLBuilder
  ) throws(QueryError) -> String {
    var parts: [String] = []
    switch filter {
    case .all(let filters):
      for filter in filters { parts.append(try matches(element, filter, &builder)) }
      return parts.isEmpty ? "1" : "(\(parts.joined(separator: " AND ")))"
    case .any(let filters):
      for filter in filters { parts.append(try matches(element, filter, &builder)) }
      return "(\(parts.joined(separator: " OR ")))"
    case .at(let path, let conditions):
      let root = "CASE \(element).type WHEN 'object' THEN \(element).value END"
      for condition in conditions {
        parts.append(try matches(root, path, condition, &builder))
      }
      return "(\(parts.joined(separator: " AND ")))"
    }
  }

  private func compare(
    _ value: String, _ comparison: DocumentQuery.Comparison, _ literal: RawJSON,
    _ builder: inout SQLBuilder
  ) throws(QueryError) -> String {
    let json: JSON
    do throws(JSONError) {
      json = try JSON(literal)
    } catch {
      throw QueryError("\(place): \(error.message)")
    }
    let sign = comparison.rawValue
    switch json {
    case .int(let number):
      return "(\(value).type IN ('integer', 'real') AND \(value).atom \(sign) "
        + "\(builder.bind(.int(number))))"
    case .double(let number):
      // Through the reader that reads the documents, so that equal texts are equal numbers.
      return "(\(value).type IN ('integer', 'real') AND \(value).atom \(sign) "
        + "CAST(\(builder.bind(.text(number.description))) AS REAL))"
    case .string(let text):
      return "(\(value).type = 'text' AND \(value).atom \(sign) \(builder.bind(.text(text))))"
    case .null where comparison == .equal: return "(\(value).type = 'null')"
    case .bool(let flag) where comparison == .equal:
      return "(\(value).type = '\(flag ? "true" : "false")')"
    case .array where comparison == .equal, .object where comparison == .equal:
      let type = if case .array = json { "array" } else { "object" }
      return "(\(value).type = '\(type)' AND \(value).value = \(builder.bind(.text(json.text))))"
    default:
      throw QueryError("\(place): only numbers and strings have an order")
    }
  }
}

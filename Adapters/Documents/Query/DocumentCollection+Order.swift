/// The order of keys, which is that of answers, in SQL.
extension DocumentCollection {
  /// Whether ids stand in the order of their keys: so they do where every value of a key is written in digits and
  /// letters of one case whose order is that of the values.
  var hasOrderedIDs: Bool {
    func isOrdered(_ shape: DocumentShape) -> Bool {
      switch shape {
      case .bool, .date, .timestamp, .uuid, .principal: true
      case .reference(_, let fields): fields.count == 1 && isOrdered(fields[0].shape)
      default: false
      }
    }
    return keyFields.allSatisfy { isOrdered(fields[$0].shape) }
  }

  /// What documents are ordered by so that their keys ascend.
  var keyOrder: [String] {
    if hasOrderedIDs { return ["_id"] }
    let parts = keyFields.flatMap { DocumentCollection.parts(fields[$0].shape, [fields[$0].name]) }
    if parts.contains(where: { if case .bytes = $0.shape { true } else { false } }) {
      // Base64 has another order than bytes, and hexadecimal digits, as in ids, have not. An empty key is `=`.
      return parts.count == 1 ? ["_id <> '='", "_id"] : ["_id"]
    }
    return parts.flatMap { $0.order(descending: false) }
  }

  /// The single values of a key's field.
  private static func parts(_ shape: DocumentShape, _ path: [String]) -> [DocumentExpression] {
    let expression = DocumentExpression(shape, path)
    guard case .reference(_, let fields) = expression.shape else { return [expression] }
    return fields.flatMap { parts($0.shape, path + [$0.name]) }
  }
}

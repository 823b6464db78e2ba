extension FieldType {
  /// What is wrong with a present value of a scalar type or JSON, and nil if it fits.
  ///
  /// Enums, records and references need the schema: see `Schema.problem(with:for:)`. Says nothing of the data.
  /// Allocates nothing for a value that fits.
  func scalarProblem(_ value: Value) -> String? {
    switch (self, value) {
    case (.bool, .bool), (.int, .int), (.date, .date), (.timestamp, .timestamp), (.uuid, .uuid),
      (.principal, .principal):
      return nil
    case (.float, .float(let number)):
      if number.isNaN { return "NaN is no number" }
      return number == 0 && number.sign == .minus ? "zero has no sign here" : nil
    case (.decimal(let precision, let scale), .decimal(let number)):
      if number.fits(precision: precision, scale: scale) { return nil }
      return "the number does not fit \(spelled) exactly"
    case (.text(let limit), .text(let text)): return FieldType.textProblem(text, limit: limit)
    case (.bytes(let limit), .bytes(let bytes)):
      if bytes.count > limit ?? Limits.valueBytes || bytes.count > Limits.valueBytes {
        return "more than \(limit ?? Limits.valueBytes) bytes"
      }
      return nil
    case (.json, .json(let json)): return FieldType.jsonProblem(json, depth: 0)
    default: return "not a value of type \(spelled)"
    }
  }

  private static func textProblem(_ text: String, limit: Int?) -> String? {
    let utf8 = text.utf8
    if utf8.count > Limits.valueBytes { return "more than \(Limits.valueBytes) bytes" }
    if text.holdsNUL { return "text holds no U+0000" }
    // As many scalars as bytes that continue none: counted only where the bytes alone do not settle it.
    guard let limit, utf8.count > limit else { return nil }
    var scalars = 0
    for byte in utf8 where byte & 0xC0 != 0x80 { scalars += 1 }
    return scalars > limit ? "more than \(limit) characters (Unicode scalars)" : nil
  }

  private static func jsonProblem(_ json: JSON, depth: Int) -> String? {
    if depth > JSON.maximumDepth { return "JSON nested deeper than \(JSON.maximumDepth)" }
    switch json {
    case .null, .bool, .int: return nil
    case .double(let number): return number.isFinite ? nil : "JSON has no NaN and no infinity"
    case .string(let text): return textProblem(text, limit: nil)
    case .array(let values):
      for value in values {
        if let problem = jsonProblem(value, depth: depth + 1) { return problem }
      }
      return nil
    case .object(let members):
      for member in members {
        if let problem = textProblem(member.name, limit: nil) { return problem }
        if let problem = jsonProblem(member.value, depth: depth + 1) { return problem }
      }
      return nil
    }
  }

  /// The type as the schema language writes it.
  public var spelled: String { TypeSyntax(self).printed }
}

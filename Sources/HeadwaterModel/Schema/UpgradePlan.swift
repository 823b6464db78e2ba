/// An upgrade that was checked against the schema that it starts from.
public struct UpgradePlan: Sendable, Hashable {
  /// The schema that comes out.
  public let schema: Schema
  /// What the steps do with rows, in their order. Steps that concern no row are left out.
  public let rowSteps: [RowStep]
  /// The steps after which some value of some row may be gone from what is visible.
  public let lossySteps: [UpgradeStep]
}

/// What a step does with the rows, and the records in them, of what `owner` names at that point.
public enum RowStep: Sendable, Hashable {
  case renameType(DeclarationKind, String, to: String)
  case renameField(owner: String, field: String, to: String)
  case renameCase(enumeration: String, name: String, to: String)
  case addField(owner: String, field: String, type: FieldType, image: FieldImage)
  case retypeField(owner: String, field: String, from: FieldType, to: FieldType, image: FieldImage)
  case dropField(owner: String, field: String)
  case addCollection(String)
  case dropCollection(String)
  /// Values of that case become `otherwise`.
  case dropCase(enumeration: String, name: String, otherwise: String)
  /// The fields in their new order.
  case order(owner: String, fields: [String])
}

/// The value that a field has in the image of an old row.
public struct FieldImage: Sendable, Hashable {
  /// Computes it from the fields of the old row; nil for `otherwise` at once.
  public let expression: Expression?
  /// What stands in where there is no exact image; nil for absent.
  public let otherwise: Value?

  /// The value of a field of type `type`: the expression's, exactly, or `otherwise`.
  ///
  /// `lookup` gives the values of the old row, nil for an absent one.
  public func value(as type: FieldType, _ lookup: ([String]) -> Value?) -> Value? {
    guard let expression, case .value(let value) = expression.evaluate(lookup) else {
      // An absent field has an exact image in an optional one: absent.
      if case .field(let path)? = expression, type.isOptional, lookup(path) == nil { return nil }
      return otherwise
    }
    return value.converted(to: type) ?? otherwise
  }
}

extension FieldType {
  /// Whether every value of this type is, unchanged, one of `other`.
  func isContained(in other: FieldType) -> Bool {
    switch (self, other) {
    case (.optional(let a), .optional(let b)): a.isContained(in: b)
    case (_, .optional(let b)): isContained(in: b)
    case (.optional, _): false
    case (.text(let a), .text(let b)): b == nil || (a.map { $0 <= b ?? 0 } ?? false)
    case (.bytes(let a), .bytes(let b)): b == nil || (a.map { $0 <= b ?? 0 } ?? false)
    case (.decimal(let p, let s), .decimal(let q, let t)): s <= t && p - s <= q - t
    case (.set(let a), .set(let b)), (.list(let a), .list(let b)),
      (.multiValue(let a), .multiValue(let b)):
      a.isContained(in: b)
    case (.map(let k, let a), .map(let l, let b)): k.isContained(in: l) && a.isContained(in: b)
    default: self == other
    }
  }

  /// Whether every value of this type has an exact image in `other`.
  func widens(to other: FieldType) -> Bool {
    if isContained(in: other) { return true }
    if isOptional, !other.isOptional { return false }
    switch (wrapped, other.wrapped) {
    case (.int, .decimal(let precision, let scale)): return precision - scale >= 19
    case (.enumeration, .text(nil)), (.uuid, .text(nil)), (.date, .text(nil)),
      (.timestamp, .text(nil)), (.principal, .text(nil)), (.decimal, .text(nil)),
      (.int, .text(nil)), (.bool, .text(nil)):
      return true
    default: return false
    }
  }

  /// Whether some values of this type have an exact image in `other`, so that a retype has a meaning.
  func converts(to other: FieldType) -> Bool {
    if wrapped.isContained(in: other.wrapped) || other.wrapped.isContained(in: wrapped) {
      return true
    }
    switch (wrapped, other.wrapped) {
    case (.text, .text), (.bytes, .bytes), (.decimal, .decimal): return true
    case (.int, .decimal), (.decimal, .int), (.int, .float), (.float, .int), (.decimal, .float),
      (.float, .decimal):
      return true
    case (.bool, .text), (.int, .text), (.decimal, .text), (.date, .text), (.timestamp, .text),
      (.uuid, .text), (.principal, .text), (.enumeration, .text):
      return true
    case (.text, .bool), (.text, .int), (.text, .decimal), (.text, .date), (.text, .timestamp),
      (.text, .uuid), (.text, .principal), (.text, .enumeration), (.enumeration, .enumeration):
      return true
    default: return false
    }
  }
}

extension Value {
  /// The exact image of the value in `type`; nil where there is none.
  ///
  /// Numbers keep their value, and everything becomes the text that mirrors show and comes back from exactly
  /// that text. The case of an enum is not compared with the cases of `type`.
  public func converted(to type: FieldType) -> Value? {
    let type = type.wrapped
    let image: Value?
    switch (self, type) {
    case (.int(let value), .decimal): image = .decimal(ExactDecimal(value))
    case (.decimal(let value), .int):
      image = value.scale == 0 ? Int64(exactly: value.coefficient).map { .int($0) } : nil
    case (.int(let value), .float): image = Double(exactly: value).flatMap { Value.number($0) }
    case (.float(let value), .int): image = Int64(exactly: value).map { .int($0) }
    case (.decimal(let value), .float): image = Value.float(exactly: value)
    case (.float(let value), .decimal): image = Value.decimal(exactly: value)
    case (_, .text):
      if case .text = self { image = self } else { image = textImage.map { .text($0) } }
    case (.text(let text), .bool):
      image = text == "true" ? .bool(true) : text == "false" ? .bool(false) : nil
    case (.text(let text), .int): image = Int64(text).map { .int($0) }
    case (.text(let text), .decimal): image = ExactDecimal(text).map { .decimal($0) }
    case (.text(let text), .date): image = CalendarDate(text).map { .date($0) }
    case (.text(let text), .timestamp): image = Timestamp(text).map { .timestamp($0) }
    case (.text(let text), .uuid): image = UUIDBytes(text).map { .uuid($0) }
    case (.text(let text), .principal): image = Digest(hex: text).map { .principal($0) }
    default: image = self
    }
    guard let image else { return nil }
    // From text only what comes from exactly that text: otherwise two texts would become one value.
    if case .text(let text) = self, !image.isText,
      image.textImage.map({ utf8Compare($0, text) }) != 0
    {
      return nil
    }
    switch type {
    case .enumeration, .record, .reference: return image
    default: return type.scalarProblem(image) == nil ? image : nil
    }
  }

  private var isText: Bool { if case .text = self { true } else { false } }

  private var textImage: String? {
    switch self {
    case .bool(let value): value ? "true" : "false"
    case .int(let value): String(value)
    case .decimal(let value): value.text()
    case .date(let value): value.description
    case .timestamp(let value): value.description
    case .uuid(let value): value.description
    case .principal(let value): value.hex
    case .text(let text): text
    default: nil
    }
  }

  /// The float that is exactly the number; nil where none is.
  private static func float(exactly value: ExactDecimal) -> Value? {
    guard let number = Double(value.text()), let back = exactDecimal(number), back == value else {
      return nil
    }
    return Value.number(number)
  }

  private static func decimal(exactly value: Double) -> Value? {
    exactDecimal(value).map { .decimal($0) }
  }

  /// The number that the float is, all its binary digits written out; nil where 38 digits do not suffice.
  private static func exactDecimal(_ value: Double) -> ExactDecimal? {
    guard value.isFinite, value.magnitude < 1e38 else { return nil }
    var scaled = value
    var scale = 0
    // A factor of ten is not exact in binary, one of two is: halves become fives.
    var halvings = 0
    while scaled != scaled.rounded(.towardZero), halvings <= 38 {
      scaled *= 2
      halvings += 1
    }
    guard halvings <= 38, let whole = Int128(exactly: scaled) else { return nil }
    var coefficient = whole
    for _ in 0..<halvings {
      let (product, overflow) = coefficient.multipliedReportingOverflow(by: 5)
      guard !overflow else { return nil }
      coefficient = product
      scale += 1
    }
    return ExactDecimal(coefficient: coefficient, scale: scale)
  }
}

@testable import HeadwaterModel

extension SeededGenerator {
  /// A decimal of at most `precision` digits, `scale` of them after the point.
  mutating func decimal(precision: Int = 38, scale: Int? = nil) -> ExactDecimal {
    let digits = below(precision + 1)
    var coefficient: Int128 = 0
    for _ in 0..<digits { coefficient = coefficient * 10 + Int128(chance(3) ? 0 : below(10)) }
    if chance(20) {
      coefficient = 1
      for _ in 0..<precision { coefficient *= 10 }
      coefficient -= 1
    }
    if chance(2) { coefficient = -coefficient }
    return ExactDecimal(coefficient: coefficient, scale: scale ?? below(39))!
  }

  mutating func date() -> CalendarDate {
    let low = Int64(CalendarDate.minimum.days)
    let high = Int64(CalendarDate.maximum.days)
    if chance(10) { return pick([.minimum, .maximum, CalendarDate(days: 0)!]) }
    return CalendarDate(days: low + Int64(below(Int(high - low + 1))))!
  }

  mutating func timestamp() -> Timestamp {
    if chance(10) { return pick([.minimum, .maximum, Timestamp(microseconds: -1)!]) }
    let day = Int64(date().days)
    return Timestamp(microseconds: day * 86_400_000_000 + Int64(below(86_400_000_000)))!
  }

  mutating func digest() -> Digest { Digest(bytes: bytes(32))! }
  mutating func uuid() -> UUIDBytes { UUIDBytes(bytes: bytes(16))! }

  mutating func blob(_ limit: Int = 12) -> [UInt8] {
    let random = bytes(below(limit + 1))
    return chance(2) ? random : random.map { $0 % 3 == 0 ? 0 : 255 }
  }

  /// A value of that type in the sample schema; nil only where the type is optional.
  mutating func value(_ type: FieldType) -> Value? {
    switch type {
    case .bool: return .bool(chance(2))
    case .int, .counter: return .int(int64())
    case .float: return Value.number(double())
    case .decimal(let precision, let scale):
      return .decimal(decimal(precision: precision, scale: scale))
    case .text(let limit): return .text(text(min(limit ?? 40, 40)))
    case .sharedText: return .text(text(40))
    case .bytes(let limit): return .bytes(blob(min(limit ?? 40, 40)))
    case .date: return .date(date())
    case .timestamp: return .timestamp(timestamp())
    case .uuid: return .uuid(uuid())
    case .json: return .json(json())
    case .principal: return .principal(digest())
    case .enumeration(let name):
      return .text(pick(SampleSchema.schema.enumeration(named: name)!.cases).name)
    case .record(let name):
      return .record(SampleSchema.schema.record(named: name)!.fields.map { value($0.type) })
    case .reference(let name):
      let target = SampleSchema.collection(name)
      if target.hasGeneratedKey, chance(5) { return .created(index: below(Limits.changes)) }
      return .reference(key(of: target))
    case .optional(let inner):
      if chance(4) { return nil }
      // JSON null in an optional field is not told from an absent one in JSON text.
      if case .json = inner { return .json(.array([json()])) }
      return value(inner)
    default: return nil
    }
  }

  mutating func key(of collection: CollectionType) -> Key {
    Key(collection.keyFields.map { value(collection.fields[$0].type)! })
  }

  /// A value of any kind.
  mutating func anyValue() -> Value {
    value(pick(SampleSchema.scalars))!
  }
}

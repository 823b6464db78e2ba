import HeadwaterModel

/// Builds a row from column values: prefix code, one expression for each field.
struct RowProgram: Sendable, Hashable {
  enum Operation: Sendable, Hashable {
    /// The value of a column. With `required`, NULL is an error.
    case column(Int, required: Bool)
    /// A record of the values that the next `fields` expressions yield.
    case record(fields: Int)
    /// The same, but absent where the presence column is false or NULL; then `length` operations are skipped.
    case optionalRecord(presence: Int, fields: Int, length: Int)
    /// A key of the next `values` expressions; absent where all of them are.
    case reference(values: Int, required: Bool)
  }

  var operations: [Operation] = []
  var fields = 0

  func row(from columns: [Value?]) -> Row? {
    var values: [Value?] = []
    values.reserveCapacity(fields)
    var position = 0
    for _ in 0..<fields {
      guard let value = run(&position, columns) else { return nil }
      values.append(value)
    }
    return Row(values)
  }

  /// Outer nil: an error. Inner nil: absent.
  private func run(_ position: inout Int, _ columns: [Value?]) -> Value?? {
    defer { assert(position <= operations.count) }
    let operation = operations[position]
    position += 1
    switch operation {
    case .column(let index, let required):
      let value = columns[index]
      return required && value == nil ? .none : .some(value)
    case .record(let fields):
      return record(fields, &position, columns)
    case .optionalRecord(let presence, let fields, let length):
      guard case .bool(true) = columns[presence] else {
        position += length
        return .some(nil)
      }
      return record(fields, &position, columns)
    case .reference(let count, let required):
      var values: [Value] = []
      values.reserveCapacity(count)
      for _ in 0..<count {
        guard let value = run(&position, columns) else { return .none }
        if let value { values.append(value) }
      }
      if values.count == count { return .some(.reference(Key(values))) }
      return values.isEmpty && !required ? .some(nil) : .none
    }
  }

  private func record(_ fields: Int, _ position: inout Int, _ columns: [Value?]) -> Value?? {
    var values: [Value?] = []
    values.reserveCapacity(fields)
    for _ in 0..<fields {
      guard let value = run(&position, columns) else { return .none }
      values.append(value)
    }
    return .some(.record(values))
  }
}

extension Schema {
  /// What is wrong with a value for a field, and nil if it fits.
  ///
  /// Looks at type, range, length, precision, the cases of enums, the fields of records and the shape of a
  /// reference's key. `.created` fits a reference to a collection with a generated key. Checks of the row are
  /// `CollectionLayout.failedCheck`'s. For a field that is no register (Set, List, Map, …) every single value is a
  /// problem: ask `problem(withElement:of:)` for its elements. The answer names the field and never the data.
  /// Allocates nothing for a value that fits.
  public func problem(with value: Value?, for field: Field) -> String? {
    guard let value else {
      if field.type.isOptional || !field.type.isRegister { return nil }
      return "'\(field.name)' is required"
    }
    return problem(with: value, as: field.type).map { "'\(field.name)': \($0)" }
  }

  /// What is wrong with an element of a Set, List or MultiValue, or a value of a Map, and nil if it fits.
  ///
  /// The checks of a record are looked at too: an element is written as a whole.
  public func problem(withElement value: Value, of field: Field) -> String? {
    guard let type = field.type.elementType else { return "'\(field.name)' has no elements" }
    if let problem = problem(with: value, as: type) { return "'\(field.name)': \(problem)" }
    guard case .record(let name) = type, let failed = failedCheck(in: value, of: name) else {
      return nil
    }
    return "'\(field.name)': the check \(failed.text) fails"
  }

  /// What is wrong with a key of a Map, and nil if it fits.
  public func problem(withMapKey value: Value, of field: Field) -> String? {
    guard let type = field.type.mapKeyType else { return "'\(field.name)' is no Map" }
    return problem(with: value, as: type).map { "'\(field.name)': \($0)" }
  }

  /// What is wrong with a key of a row of `collection`, and nil if it fits.
  public func problem(with key: Key, of collection: CollectionType) -> String? {
    guard key.values.count == collection.keyFields.count else {
      return "a key of '\(collection.name)' has \(collection.keyFields.count) values"
    }
    for (value, index) in zip(key.values, collection.keyFields) {
      if case .created = value, collection.hasGeneratedKey { return "the id is generated" }
      if let problem = problem(with: value, for: collection.fields[index]) { return problem }
    }
    return nil
  }

  /// What is wrong with a present value of a type, and nil if it fits.
  public func problem(with value: Value, as type: FieldType) -> String? {
    switch type {
    case .optional(let inner): return problem(with: value, as: inner)
    case .enumeration(let name):
      guard case .text(let text) = value else { return "not a case of \(type.spelled)" }
      let known = enumeration(named: name)?.cases.contains { utf8Compare($0.name, text) == 0 }
      return known == true ? nil : "not a case of \(type.spelled)"
    case .record(let name):
      guard case .record(let values) = value, let record = record(named: name) else {
        return "not a record \(type.spelled)"
      }
      guard values.count == record.fields.count else {
        return "a record \(type.spelled) has \(record.fields.count) fields"
      }
      for index in values.indices {
        if let problem = problem(with: values[index], for: record.fields[index]) { return problem }
      }
      return nil
    case .reference(let name):
      guard let target = collection(named: name) else { return "not a reference" }
      switch value {
      case .created:
        return target.hasGeneratedKey
          ? nil : "'\(name)' has a key of its own, so a reference names the key"
      case .reference(let key): return problem(with: key, of: target)
      default: return "not a reference to \(type.spelled)"
      }
    case .counter, .set, .map, .list, .sharedText, .multiValue, .custom:
      return "\(type.spelled) takes changes, not a value"
    default: return type.scalarProblem(value)
    }
  }

  /// The first check of a record's fields, at any depth, that a record value fails.
  public func failedCheck(in value: Value, of record: String) -> Expression? {
    guard case .record(let values) = value, let type = self.record(named: record) else {
      return nil
    }
    for (index, field) in type.fields.enumerated() where index < values.count {
      for check in field.checks {
        if !check.evaluate({ self.value(at: $0, in: values, type.fields) }).holds { return check }
      }
      if case .record(let inner) = field.type.wrapped, let value = values[index],
        let failed = failedCheck(in: value, of: inner)
      {
        return failed
      }
    }
    return nil
  }

  private func value(at path: [String], in values: [Value?], _ fields: [Field]) -> Value? {
    var values = values
    var fields = fields
    for (step, name) in path.enumerated() {
      guard let index = fields.firstIndex(where: { $0.name == name }), index < values.count,
        let value = values[index]
      else { return nil }
      if step == path.count - 1 { return value }
      guard case .record(let inner) = value, case .record(let record) = fields[index].type.wrapped
      else { return nil }
      values = inner
      fields = self.record(named: record)?.fields ?? []
    }
    return nil
  }
}

extension FieldType {
  /// The type of the elements of a Set, List or MultiValue, or of the values of a Map.
  public var elementType: FieldType? {
    switch self {
    case .set(let element), .list(let element), .multiValue(let element), .map(_, let element):
      element
    default: nil
    }
  }

  /// The type of the keys of a Map.
  public var mapKeyType: FieldType? {
    if case .map(let key, _) = self { return key }
    return nil
  }
}

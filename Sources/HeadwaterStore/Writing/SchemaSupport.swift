import HeadwaterModel

/// What a schema asks for that this version of the store cannot honour yet. Nothing is silently ignored.
enum SchemaSupport {
  /// Each thing by name, in the order of the schema; empty where everything can be honoured.
  static func missing(in schema: Schema) -> [String] {
    var missing: [String] = []
    func check(_ field: Field, _ owner: String) {
      let name = "\(owner).\(field.name)"
      if !field.type.isRegister { missing.append("\(name) is a \(kind(field.type))") }
    }
    for record in schema.records { for field in record.fields { check(field, record.name) } }
    for collection in schema.collections {
      for field in collection.fields { check(field, collection.name) }
    }
    return missing
  }

  private static func kind(_ type: FieldType) -> String {
    switch type.wrapped {
    case .counter: "Counter"
    case .set: "Set"
    case .map: "Map"
    case .list: "List"
    case .sharedText: "SharedText"
    case .multiValue: "MultiValue"
    case .custom(let name): "custom \"\(name)\""
    default: "register"
    }
  }
}

extension SlotCheck {
  /// Why the check does not hold for those slot values; nil if it does, or if an operand is absent.
  func problem(_ value: (Int) -> Value?) -> String? {
    switch evaluate(value) {
    case .value(.bool(false)): return "the check \(text) does not hold"
    case .overflow: return "the check \(text) cannot be computed: a number is too large"
    case .value, .absent: return nil
    }
  }
}

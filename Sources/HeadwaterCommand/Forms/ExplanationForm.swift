import Headwater

/// Why an operation is valid or void, for people and as JSON.
enum ExplanationForm {
  static func show(_ explanation: Explanation, _ schema: Schema) throws {
    let out = Output.standard
    try out.print("operation \(explanation.operation.hex)")
    try out.print("  height \(explanation.height)  author \(explanation.author.hex)")
    switch explanation.verdict {
    case .valid:
      try out.print(
        explanation.requirements.isEmpty && explanation.height == 0
          ? "  valid: it is the genesis" : "  valid")
    case .void(let reason, let by):
      try out.print("  void: \(reason.rawValue)")
      if let message = explanation.message { try out.print("  \(message)") }
      for id in by { try out.print("  by operation \(id.hex)") }
    }
    for requirement in explanation.requirements {
      let collection = schema.collections[requirement.collection]
      let result = requirement.failure.map { "fails: \($0.rawValue)" } ?? "holds"
      try out.print(
        "  change \(requirement.change), \(RowForm.verb(requirement.kind)) \(collection.name) "
          + "\(key(requirement.key, collection, schema)): \(result)")
      for line in asked(requirement.asked, collection) { try out.print("    \(line)") }
      for witness in requirement.witnesses {
        let other = schema.collections[witness.collection]
        try out.print(
          "      \(other.name) \(key(witness.key, other, schema)) created by "
            + "\(short(witness.create))\(witness.isCreateValid ? "" : ", which is void")")
        for end in witness.ends {
          try out.print(
            "        deleted by \(short(end.operation)) signed by \(short(end.author)), "
              + (end.isConcurrent ? "at the same time" : "before")
              + (end.isValid ? "" : "; that delete is void"))
        }
      }
    }
  }

  private static func asked(_ asked: Explanation.Asked, _ collection: CollectionType) -> [String] {
    switch asked {
    case .rule(let conditions):
      if conditions.isEmpty { return ["no rule of \(collection.name) allows it"] }
      return conditions.enumerated().map {
        ($0.offset == 0 ? "allowed if " : "or if ") + $0.element
      }
    case .subject: return ["the row is there"]
    case .target(let field): return ["the row that \(field) refers to is there"]
    case .unreferenced: return ["no row refers to it that may not be left without it"]
    case .unique(let field): return ["no other row has the same \(field)"]
    }
  }

  static func line(_ explanation: Explanation, _ schema: Schema) -> [UInt8] {
    var line = JSONLine()
    line.string("operation", explanation.operation.hex)
    line.int("height", explanation.height)
    line.string("author", explanation.author.hex)
    switch explanation.verdict {
    case .valid: line.string("verdict", "valid")
    case .void(let reason, let by):
      line.string("verdict", "void")
      line.string("reason", reason.rawValue)
      line.strings("by", by.map(\.hex))
      line.string("message", explanation.message)
    }
    line.array("requirements", explanation.requirements) { requirement, bytes in
      bytes += self.requirement(requirement, schema)
    }
    return line.finish()
  }

  private static func requirement(_ requirement: Explanation.Requirement, _ schema: Schema)
    -> [UInt8]
  {
    let collection = schema.collections[requirement.collection]
    var line = JSONLine()
    line.int("change", Int64(requirement.change))
    line.string("kind", RowForm.verb(requirement.kind))
    line.string("collection", collection.name)
    line.raw("key") { schema.writeKey(requirement.key, of: collection, into: &$0) }
    switch requirement.asked {
    case .rule(let conditions):
      line.string("asks", "rule")
      line.strings("conditions", conditions)
    case .subject: line.string("asks", "subject")
    case .target(let field):
      line.string("asks", "target")
      line.string("field", field)
    case .unreferenced: line.string("asks", "unreferenced")
    case .unique(let field):
      line.string("asks", "unique")
      line.string("field", field)
    }
    line.bool("holds", requirement.holds)
    if let reason = requirement.failure { line.string("reason", reason.rawValue) }
    line.array("witnesses", requirement.witnesses) { witness, bytes in
      let other = schema.collections[witness.collection]
      var inner = JSONLine()
      inner.string("collection", other.name)
      inner.raw("key") { schema.writeKey(witness.key, of: other, into: &$0) }
      inner.string("create", witness.create.hex)
      inner.bool("createValid", witness.isCreateValid)
      inner.bool("counts", witness.counts)
      inner.array("ends", witness.ends) { end, bytes in
        var line = JSONLine()
        line.string("operation", end.operation.hex)
        line.string("author", end.author.hex)
        line.bool("concurrent", end.isConcurrent)
        line.bool("valid", end.isValid)
        bytes += line.closed()
      }
      bytes += inner.closed()
    }
    return line.closed()
  }

  private static func key(_ key: Key, _ collection: CollectionType, _ schema: Schema) -> String {
    key.values.enumerated().map { position, value in
      schema.text(forCell: value, for: collection.fields[collection.keyFields[position]].type)
    }.joined(separator: " / ")
  }

  private static func short(_ id: Digest) -> String { String(id.hex.prefix(12)) }
}

import Headwater

/// What `write` answers, a line for each operation.
enum AnswerForm {
  static func written(_ receipt: WriteReceipt, schema: Schema) -> [UInt8] {
    var line = JSONLine()
    line.string("operation", receipt.operation.hex)
    switch receipt.verdict {
    case .valid:
      line.string("verdict", "valid")
      line.array("keys", receipt.created) {
        schema.writeKey($0.key, of: schema.collections[$0.collection], into: &$1)
      }
    case .void(let reason, let by):
      line.string("verdict", "void")
      line.string("reason", reason.rawValue)
      line.strings("by", by.map(\.hex))
      line.string("message", message(reason))
    }
    return line.finish()
  }

  static func failed(_ failure: Failure, line number: Int) -> [UInt8] {
    var line = JSONLine()
    line.object("error") { failure.write(into: &$0, line: number) }
    return line.finish()
  }

  private static func message(_ reason: VerdictReason) -> String {
    switch reason {
    case .schema: "a schema that is not in force, or an upgrade, makes it void"
    case .noWitness: "no rule lets its author do this"
    case .revoked: "what let its author do this was taken back"
    case .overruled: "a more senior operation overrules it"
    case .notLive: "it changes a row that is not there in its past"
    case .dangling: "it refers to a row that is not there"
    case .referenced: "it deletes a row that others refer to"
    case .unique: "another row has the same unique value"
    }
  }
}

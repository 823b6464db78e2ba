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
      line.string("message", receipt.message ?? reason.rawValue)
    }
    return line.finish()
  }

  static func failed(_ failure: Failure, line number: Int) -> [UInt8] {
    var line = JSONLine()
    line.object("error") { failure.write(into: &$0, line: number) }
    return line.finish()
  }
}

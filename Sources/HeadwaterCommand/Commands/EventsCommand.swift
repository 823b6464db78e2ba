import ArgumentParser
import Headwater

struct EventsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events", abstract: "Print the event stream: what became of the visible rows.",
    discussion: """
      Begins with the first event that is kept, or at a position. With --follow it goes on as events come, \
      until it is interrupted, which is exit code 0.

      Example: headwater events shop.store --from 1000 --follow --json
      """)

  @Argument(help: "The file of the store.") var store: String
  @Option(help: ArgumentHelp("Begin with the event at this position.", valueName: "position"))
  var from: Int64?
  @Flag(help: "Wait for more.") var follow = false
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if let from, from < 1 { throw ValidationError("positions begin with 1") }
  }

  func run() async throws {
    let store = try Headwater.open(store, forWriting: false)
    guard follow else { return try await run(store) }
    try await Signals.untilInterrupted { try await run(store) }
  }

  private func run(_ store: Store) async throws {
    // Up to here everything is printed.
    var done = try await start(store)
    var position = try await store.read { [done] snapshot in
      // The stream is read in whole transactions.
      try snapshot.transactionStart(of: done + 1).map { $0 - 1 } ?? done
    }
    while true {
      try Task.checkCancellation()
      let page = try await store.read { [position] snapshot in
        try snapshot.transactions(after: position, limit: 1_000, maximumTransaction: .max)
      }
      guard case .transactions(let transactions) = page else {
        throw Failure(
          "trimmed",
          "the events after position \(position) are no longer kept; begin with a later one")
      }
      for transaction in transactions {
        for (offset, change) in transaction.changes.enumerated() {
          let number = transaction.firstPosition + Int64(offset)
          if number <= done { continue }
          try print(change, number, transaction.firstPosition, store.schema)
        }
        position = transaction.head.position
        done = max(done, position)
      }
      if transactions.isEmpty {
        guard follow else { return }
        try Output.standard.flush()
        try await store.changes.waitForEvents(after: position, timeout: .seconds(10))
      }
    }
  }

  /// The position before the first event to print.
  private func start(_ store: Store) async throws -> Int64 {
    let first = try await store.read { try $0.status().firstPosition }
    if let from {
      guard from >= first else {
        throw Failure(
          "trimmed", "the events before position \(first) are no longer kept: say --from \(first)")
      }
      return from - 1
    }
    if first > 1 {
      Output.error.say("headwater: the events before position \(first) are no longer kept")
    }
    return first - 1
  }

  private func print(_ change: Change, _ position: Int64, _ transaction: Int64, _ schema: Schema)
    throws
  {
    guard !output.json else {
      return try Output.standard.print(
        RowForm.event(change, position: position, transaction: transaction, in: schema))
    }
    let collection = schema.collections[change.collection]
    var text = "\(position)  \(change.isDelete ? "delete" : "upsert") \(collection.name) "
    text += change.key.values.enumerated().map { index, value in
      schema.text(forCell: value, for: collection.fields[collection.keyFields[index]].type)
    }.joined(separator: " / ")
    if let after = change.after {
      for (index, field) in collection.fields.enumerated()
      where !field.isKey && after[index] != change.before?[index] {
        var bytes: [UInt8] = []
        schema.write(after[index], for: field.type, into: &bytes)
        text += "  \(field.name)=\(String(decoding: bytes, as: UTF8.self))"
      }
    }
    text += "  (\(change.cause.reason.rawValue)"
    if let reason = change.cause.verdictReason { text += ": \(reason)" }
    text += ", \(change.cause.operations.first.map { String($0.hex.prefix(12)) } ?? "–"))"
    try Output.standard.print(text)
  }
}

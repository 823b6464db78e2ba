import ArgumentParser
import Headwater

struct WriteCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "write", abstract: "Write operations, one line of NDJSON each.",
    discussion: """
      Answers with one line of JSON for each line, in the order of the lines, when it is durable. A \
      line that fails writes nothing and the others go on; the exit code is 2 if a line was malformed, \
      otherwise 1 if one was refused or is void.

      With --at the operations are written as by a replica that had seen the operations named and their \
      past, and then one after the other.

      Example: echo '{"changes":[{"create":"Product","row":{"sku":"A-1","name":"Widget"}}]}' | headwater \
      write shop.store --as alice
      """)

  /// How many operations may be on their way to the disk at once.
  private static let inFlight = 512

  @Argument(help: "The file of the store.") var store: String
  @OptionGroup var signer: SignerOptions
  @Argument(help: "The operations; - is stdin.") var file = "-"
  @Option(
    help: ArgumentHelp(
      "Write on this frontier: ids of operations, or beginnings of them, with commas.",
      valueName: "op,op"))
  var at: String?
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let key = try signer.signer()
    let store = try Headwater.open(store, forWriting: true, options: .patient)
    var frontier: [Digest]?
    if let at { frontier = try await store.read { try $0.operations(at) } }
    let input = try InputFile(file)
    var run = WriteRun(store: store, key: key, frontier: frontier, limit: WriteCommand.inFlight)
    do {
      try await run.all(of: input)
    } catch is OutputClosed {
      throw Failure(
        "output",
        "nobody reads the answers any more: the operations of the lines that were not answered may be written"
      )
    }
    if let code = run.exitCode { throw code }
  }
}

/// One run of `write`: lines in, answers out in the same order.
private struct WriteRun {
  private enum Answer {
    case pending(PendingWrite)
    case failed(Failure)
  }

  let store: Store
  let key: SigningKey
  var frontier: [Digest]?
  let limit: Int
  private var answers: ArraySlice<(line: Int, answer: Answer)> = []
  private var isRefused = false
  private var isMalformed = false

  init(store: Store, key: SigningKey, frontier: [Digest]?, limit: Int) {
    self.store = store
    self.key = key
    self.frontier = frontier
    self.limit = limit
  }

  var exitCode: ExitCode? { isMalformed ? .badInput : isRefused ? .no : nil }

  mutating func all(of input: InputFile) async throws {
    let sequence = WriteSequence(store, stopsAtFailure: false)
    let changes = ChangeReader(schema: store.schema, author: nil)
    var reader = NDJSONReader()
    var isAtEnd = false
    while !isAtEnd {
      // Whoever writes line by line waits for each answer: nothing is held back while we wait for input.
      let bytes = try input.read(1 << 16)
      if bytes.isEmpty {
        isAtEnd = true
        reader.finish()
      } else {
        reader.append(bytes)
      }
      while let line = read(&reader, &isAtEnd) {
        do {
          try await write(try changes.changes(try line.value.get()), line: line.number, sequence)
        } catch let failure as Failure {
          answers.append((line.number, .failed(failure)))
        }
        while answers.count >= limit { try await answer() }
      }
      while !answers.isEmpty { try await answer() }
      try Output.standard.flush()
    }
  }

  /// The next line, or why it cannot be read; nil where more bytes are needed.
  private func read(_ reader: inout NDJSONReader, _ isAtEnd: inout Bool)
    -> (number: Int, value: Result<RawJSON, Failure>)?
  {
    do {
      return try reader.next().map { ($0.line, .success($0.value)) }
    } catch {
      // Nothing can be read behind a line that is too long.
      if !error.isRecoverable {
        if isAtEnd { return nil }
        isAtEnd = true
      }
      return (error.position.line, .failure(Failure("invalid", error.description)))
    }
  }

  private mutating func write(
    _ operation: [ChangeForm], line: Int, _ sequence: WriteSequence
  ) async throws {
    let body: @Sendable (Draft) throws -> Void = { draft in
      for (index, change) in operation.enumerated() {
        do throws(StoreError) {
          try change.apply(to: draft)
        } catch {
          throw StoreError(
            error.code, "change \(index): \(error.message)", reason: error.reason)
        }
      }
    }
    guard let at = frontier else {
      answers.append((line, .pending(sequence.write(as: key, body))))
      return
    }
    // Each sees what was written before it, so there is nothing to write at the same time.
    while !answers.isEmpty { try await answer() }
    let receipt: WriteReceipt
    do {
      receipt = try await store.write(as: key, at: at, body)
    } catch {
      return try answer(error, line: line)
    }
    frontier = [receipt.operation]
    try answer(receipt)
  }

  /// Prints the oldest answer.
  private mutating func answer() async throws {
    guard let (line, answer) = answers.popFirst() else { return }
    switch answer {
    case .failed(let failure): try self.answer(failure, line: line)
    case .pending(let pending):
      let receipt: WriteReceipt
      do {
        receipt = try await pending.receipt
      } catch {
        return try self.answer(error, line: line)
      }
      try self.answer(receipt)
    }
  }

  private mutating func answer(_ receipt: WriteReceipt) throws {
    if !receipt.verdict.isValid { isRefused = true }
    try Output.standard.print(AnswerForm.written(receipt, schema: store.schema))
  }

  private mutating func answer(_ error: any Error, line: Int) throws {
    guard let failure = Failure(describing: error) else { throw error }
    if let error = error as? StoreError, !WriteRun.isOfOneLine(error.code) {
      // The storage failed: no later line would fare better.
      try Output.standard.print(AnswerForm.failed(failure, line: line))
      throw error
    }
    if failure.exitCode == 1 { isRefused = true } else { isMalformed = true }
    try Output.standard.print(AnswerForm.failed(failure, line: line))
  }

  private static func isOfOneLine(_ code: StoreError.Code) -> Bool {
    switch code {
    case .refused, .rejected, .invalid, .unsupported: true
    default: false
    }
  }
}

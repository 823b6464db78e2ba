import HeadwaterModel
import HeadwaterStream
import Synchronization

/// One run of one case: the sinks it made, and what cases ask again and again.
final class ContractRun: Sendable {
  let subject: any ContractSubject
  private let sinks = Mutex<[any ContractSink]>([])

  init(subject: any ContractSubject) { self.subject = subject }

  func makeSink() async throws -> any ContractSink {
    let sink = try await subject.makeSink()
    sinks.withLock { $0.append(sink) }
    return sink
  }

  func copy(of sink: any ContractSink) async throws -> any ContractSink {
    guard let copy = try await sink.copy() else {
      throw ContractSkip(reason: "such sinks cannot be copied")
    }
    sinks.withLock { $0.append(copy) }
    return copy
  }

  func discard() async {
    for sink in sinks.withLock({ $0 }) { await sink.discard() }
  }

  /// A mirror on an adapter that is opened for it, or on the given one.
  func mirror(
    _ sink: any ContractSink, _ source: any ChangeSource, name: String = "contract",
    adapter: (any Adapter)? = nil, options: MirrorOptions = .contract
  ) async throws -> Mirror {
    let opened: any Adapter
    if let adapter { opened = adapter } else { opened = try await sink.open() }
    return Mirror(
      name: name, sink: "contract:", source: source, adapter: opened, options: options,
      environment: .contract)
  }

  /// Brings the sink to the source's head with a new mirror, and compares the two.
  @discardableResult
  func synchronise(
    _ sink: any ContractSink, _ source: ScriptedSource, options: MirrorOptions = .contract,
    _ when: String = "after synchronising"
  ) async throws -> Checkpoint {
    let checkpoint = try await mirror(sink, source, options: options).synchronise()
    try await expect(sink, equals: source, when)
    return checkpoint
  }

  /// Runs until the adapter dies of a fault, and returns whether it did.
  func runUntilCrash(
    _ sink: any ContractSink, _ source: any ChangeSource, options: MirrorOptions = .contract,
    plan: @escaping @Sendable (Int, ChangeBatch) -> FaultyAdapter.Fault
  ) async throws -> Bool {
    let adapter = FaultyAdapter(try await sink.open(), plan: plan)
    do {
      _ = try await mirror(sink, source, adapter: adapter, options: options).synchronise()
      return false
    } catch let error as MirrorError {
      if let cause = error.cause as? AdapterError, cause.code == FaultyAdapter.crash.code {
        return true
      }
      throw error
    }
  }

  // MARK: - Expectations

  func expect(_ condition: Bool, _ text: @autoclosure () -> String) throws {
    if !condition { throw ContractViolation(text()) }
  }

  /// The published rows of the sink are the visible rows of the source.
  func expect(
    _ sink: any ContractSink, equals source: ScriptedSource, _ when: String
  ) async throws {
    let schema = source.schema
    for index in schema.collections.indices {
      try await expect(
        sink, index, schema, holds: source.visibleRows(of: index), when)
    }
  }

  /// The published rows of a collection are these, in this order.
  func expect(
    _ sink: any ContractSink, _ collection: Int, _ schema: Schema, holds expected: [Row],
    _ when: String
  ) async throws {
    let found = try await sink.rows(of: collection, in: schema)
    let name = schema.collections[collection].name
    for (index, pair) in zip(expected, found).enumerated() where pair.0 != pair.1 {
      throw ContractViolation(
        "\(when), row \(index) of \(name) should be \(short(pair.0)), and is \(short(pair.1)) "
          + "(\(expected.count) rows expected, \(found.count) found)")
    }
    try expect(
      expected.count == found.count,
      "\(when), \(name) should have \(expected.count) rows, and has \(found.count)")
  }

  /// The sink holds that checkpoint, for this adapter and for one that is opened anew.
  func expect(
    _ sink: any ContractSink, at expected: Checkpoint?, adapter: (any Adapter)? = nil,
    _ when: String
  ) async throws {
    if let adapter {
      let stored = try await adapter.checkpoint()
      try expect(
        stored == expected,
        "\(when), checkpoint() should be \(short(expected)), and is \(short(stored))")
    }
    let stored = try await sink.open().checkpoint()
    try expect(
      stored == expected,
      "\(when), checkpoint() of an adapter opened anew should be \(short(expected)), "
        + "and is \(short(stored))")
  }

  /// `apply` refuses the batch with `.diverged`.
  func expectDiverged(_ adapter: any Adapter, _ batch: ChangeBatch, _ what: String) async throws {
    do throws(AdapterError) {
      try await adapter.apply(batch)
    } catch {
      return try expect(
        error.code == .diverged,
        "\(what) should be refused with the code diverged, and was with: \(error)")
    }
    throw ContractViolation("\(what) should be refused with the code diverged, and was applied")
  }

  /// The mirror halts with that code.
  func expectHalt(_ code: MirrorError.Code, _ mirror: Mirror, _ what: String) async throws {
    do {
      _ = try await mirror.synchronise()
    } catch let error as MirrorError {
      return try expect(
        error.code == code, "\(what) should halt the mirror with \(code), and did with: \(error)")
    }
    throw ContractViolation("\(what) should halt the mirror with \(code), and did not")
  }

  private func short(_ value: Any?) -> String {
    guard let value else { return "none" }
    let text = "\(value)"
    return text.utf8.count > 600 ? String(text.prefix(600)) + "…" : text
  }
}

extension MirrorOptions {
  /// Small pages and batches, so that a few rows make many of them.
  static var contract: MirrorOptions {
    var options = MirrorOptions()
    options.initialPage = 3
    options.maximumPage = 3
    options.initialBatch = 4
    options.maximumBatch = 8
    options.retryLimit = 100
    options.backoff.first = .milliseconds(1)
    options.backoff.longest = .milliseconds(10)
    return options
  }

  /// Pages and batches as a mirror has them by default.
  static var large: MirrorOptions {
    var options = MirrorOptions()
    options.retryLimit = 100
    return options
  }
}

extension MirrorEnvironment {
  /// Real time, and jitter that is always the same.
  static var contract: MirrorEnvironment {
    var environment = MirrorEnvironment.live
    environment.random = { 0.5 }
    return environment
  }
}

/// Numbers that look random and are the same in every run. SplitMix64, by S. Vigna.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

import AdapterContract
import HeadwaterMemory
import HeadwaterModel
import Synchronization

@testable import HeadwaterStream

/// Keeps what the tests of this target need of rows and sources.
enum Fixture {
  static let schema = try! Schema.parse(
    """
    schema Notes
    collection Note {
      id: Int @key
      text: Text
      about: Note?
    }
    allow everything
    """)

  static let upgraded = try! Schema.parse(
    """
    schema Notes
    collection Note {
      id: Int @key
      text: Text
      about: Note?
      stars: Int?
    }
    allow everything
    """)

  static func key(_ id: Int) -> Key { Key([.int(Int64(id))]) }

  static func row(_ id: Int, _ text: String) -> Row { Row([.int(Int64(id)), .text(text), nil]) }

  static func put(_ id: Int, _ text: String = "") -> ScriptedSource.Write { .put(0, row(id, text)) }

  static func delete(_ id: Int) -> ScriptedSource.Write { .delete(0, key(id)) }

  static func source(rows: Int = 0) -> ScriptedSource {
    let source = ScriptedSource(schema: schema)
    for id in 0..<rows { source.commit([put(id, "row \(id)")]) }
    return source
  }

  static let cause = Cause(operations: [], author: .zero, time: 0, reason: .applied)

  static func change(_ id: Int, _ before: String?, _ after: String?) -> Change {
    Change(
      collection: 0, key: key(id), before: before.map { row(id, $0) },
      after: after.map { row(id, $0) }, cause: cause)
  }

  static func digest(_ number: Int64) -> Digest {
    var bytes = [UInt8](repeating: 7, count: 24)
    withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    return Digest(bytes: bytes)!
  }

  static func head(_ position: Int64, schema: Int64 = 1) -> SourceHead {
    SourceHead(
      database: digest(100), replica: UUIDBytes(bytes: [UInt8](repeating: 1, count: 16))!,
      position: position, digest: digest(position), frontier: [digest(position)],
      schema: digest(1_000 + schema))
  }

  static func checkpoint(
    _ position: Int64, _ phase: Checkpoint.Phase = .tail(generation: 1), mirror: String = "m",
    seen: Int64? = nil
  ) -> Checkpoint {
    let head = head(position)
    return Checkpoint(
      database: head.database, replica: head.replica, mirror: mirror, phase: phase,
      position: position, digest: head.digest, frontier: head.frontier, schema: head.schema,
      seen: seen.map { StreamPoint(position: $0, digest: digest($0)) })
  }

  static func transaction(
    _ first: Int64, _ changes: [Change], schemaChange: Schema? = nil
  ) -> Transaction {
    let count = Int64(changes.count) + (schemaChange == nil ? 0 : 1)
    return Transaction(
      firstPosition: first, head: head(first + count - 1, schema: schemaChange == nil ? 1 : 2),
      changes: changes, schemaChange: schemaChange)
  }
}

/// A clock that moves only when somebody sleeps, and remembers for how long.
final class ManualTime: Sendable {
  private let state = Mutex<(now: Duration, sleeps: [Duration])>((.zero, []))

  var sleeps: [Duration] { state.withLock { $0.sleeps } }

  func advance(by duration: Duration) { state.withLock { $0.now += duration } }

  var environment: MirrorEnvironment {
    MirrorEnvironment(
      now: { self.state.withLock { $0.now } },
      sleep: { duration in
        self.state.withLock { state in
          state.now += duration
          state.sleeps.append(duration)
        }
        try Task.checkCancellation()
        await Task.yield()
      },
      random: { 0 })
  }
}

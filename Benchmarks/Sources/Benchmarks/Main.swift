import Headwater
import HeadwaterSQLite
import SQLiteDriver

@main struct Benchmarks {
  static func main() async throws {
    let arguments = CommandLine.arguments.dropFirst()
    let count = arguments.compactMap { Int($0) }.first ?? 200_000
    let scratch = Scratch()
    let schema = try Schema.parse(Rows.schema)
    let signer = SigningKey.generate()
    let store = try Headwater.create(at: scratch.file("store"), schema: schema, as: signer)
    let cost = try await Cost.of {
      try await withThrowingTaskGroup(of: Void.self) { group in
        var inFlight = 0
        for start in stride(from: 0, to: count, by: 500) {
          if inFlight >= 4 {
            try await group.next()
            inFlight -= 1
          }
          let rows = (start..<min(start + 500, count)).map(Rows.row)
          group.addTask {
            try await store.write(as: signer) { draft in
              for row in rows { try draft.create(collection: 0, row: row) }
            }
          }
          inFlight += 1
        }
        try await group.waitForAll()
      }
    }
    print(
      "import \(count) rows: \(Int(Double(count) / cost.wall)) rows/s, \(cost.cpu / Double(count) * 1e6) µs CPU a row, peak \(peakMegabytes()) MB, file \(size(of: scratch.file("store")) >> 20) MB"
    )
    let singles = 20_000
    let single = try await Cost.of {
      try await withThrowingTaskGroup(of: Void.self) { group in
        var inFlight = 0
        for index in 0..<singles {
          if inFlight >= 256 {
            try await group.next()
            inFlight -= 1
          }
          group.addTask {
            try await store.write(as: signer) { draft in
              try draft.create(collection: 0, row: Rows.row(count + index))
            }
          }
          inFlight += 1
        }
        try await group.waitForAll()
      }
    }
    print(
      "single-row operations: \(Int(Double(singles) / single.wall)) op/s, \(single.cpu / Double(singles) * 1e6) µs CPU an operation"
    )
  }
}

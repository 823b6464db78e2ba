import Foundation
import SQLiteDriver
import Testing

/// Rows that are inserted several to a statement.
@Suite struct BatchInsertTests {
  private let db: Connection

  init() throws {
    db = try Connection(path: "", mode: .memory)
    try db.execute(
      "CREATE TABLE t (n INTEGER PRIMARY KEY, a BLOB, b TEXT, c INTEGER UNIQUE) STRICT")
  }

  private func insert() -> BatchInsert {
    BatchInsert(db, into: "t", columns: ["n", "a", "b", "c"])
  }

  private func add(_ number: Int, to batch: BatchInsert) throws {
    batch.add(Int64(number))
    switch number % 3 {
    case 0: batch.addNull()
    case 1: batch.add([UInt8]())
    default: batch.add([UInt8](repeating: UInt8(number % 256), count: number % 100))
    }
    batch.add(number % 5 == 0 ? "" : "text \(number) é")
    if number % 2 == 0 { batch.addNull() } else { batch.add(Int64(-number)) }
    try batch.endRow()
  }

  private func expect(_ numbers: [Int]) throws {
    let statement = try db.prepare("SELECT n, a, b, c FROM t ORDER BY n")
    for number in numbers {
      #expect(try statement.step())
      #expect(statement.int(0) == Int64(number))
      #expect(statement.isNull(1) == (number % 3 == 0))
      if number % 3 != 0 {
        let count = number % 3 == 1 ? 0 : number % 100
        #expect(statement.type(1) == .blob)
        #expect(statement.bytes(1) == [UInt8](repeating: UInt8(number % 256), count: count))
      }
      #expect(statement.type(2) == .text)
      #expect(statement.text(2) == (number % 5 == 0 ? "" : "text \(number) é"))
      #expect(statement.isNull(3) == (number % 2 == 0))
      if number % 2 == 1 { #expect(statement.int(3) == Int64(-number)) }
    }
    #expect(try !statement.step())
  }

  @Test(arguments: [0, 1, 2, 15, 16, 17, 31, 32, 100])
  func everyRowIsInserted(count: Int) throws {
    let batch = insert()
    for number in 0..<count { try add(number, to: batch) }
    #expect(try db.integer("SELECT count(*) FROM t") == Int64(count / 16 * 16))
    try batch.flush()
    try expect(Array(0..<count))
    // And it goes on.
    for number in count..<count + 3 { try add(number, to: batch) }
    try batch.flush()
    try expect(Array(0..<count + 3))
  }

  @Test func muchIsInsertedEarly() throws {
    let batch = insert()
    for number in 0..<3 {
      batch.add(Int64(number))
      batch.add([UInt8](repeating: 7, count: 200_000))
      batch.add("x")
      batch.addNull()
      try batch.endRow()
    }
    #expect(try db.integer("SELECT count(*) FROM t") == 2)
    try batch.flush()
    #expect(try db.integer("SELECT sum(length(a)) FROM t") == 600_000)
  }

  /// Whoever overlooks a failure cannot commit what is left.
  @Test(arguments: [3, 16]) func aFailureLasts(count: Int) throws {
    try db.execute("INSERT INTO t (n) VALUES (2)")
    let batch = insert()
    #expect(throws: SQLiteError.self) {
      for number in 0..<count { try add(number, to: batch) }
      try batch.flush()
    }
    #expect(throws: SQLiteError.self) { try batch.flush() }
  }

  @Test func whatIsThereIsLeftAlone() throws {
    try db.execute("INSERT INTO t (n, b) VALUES (2, 'old')")
    let batch = BatchInsert(db, into: "t", columns: ["n", "b"], ignoring: true)
    for number in 0..<20 {
      batch.add(Int64(number))
      batch.add("new")
      try batch.endRow()
    }
    try batch.flush()
    #expect(try db.integer("SELECT count(*) FROM t") == 20)
    #expect(try db.text("SELECT b FROM t WHERE n = 2") == "old")
  }
}

import HeadwaterModel
import HeadwaterStream
import SQLiteDriver

/// Writes and deletes the documents of one table with statements that are compiled once. Confined like its connection.
final class DocumentWriter {
  private let collection: DocumentCollection
  private let table: String
  private let connection: Connection
  private var upserts: [Statement?] = [nil, nil, nil]
  private var deletion: Statement?
  private var buffer: [UInt8] = []
  /// Where each id and each document begins in the buffer.
  private var starts: [Int] = []
  private static let sizes = [64, 8, 1]
  /// The fields of which SQLite checks that they are unique, row by row.
  private let uniqueFields: [Int]

  init(_ collection: DocumentCollection, _ table: String, _ connection: Connection) {
    self.collection = collection
    self.table = table
    self.connection = connection
    uniqueFields = collection.fields.indices.filter { collection.fields[$0].isUnique }
  }

  /// Whether the change gives the document another unique value, so that the old one has to go first.
  func movesUniqueValue(_ change: Change) -> Bool {
    guard !uniqueFields.isEmpty, let before = change.before, let after = change.after else {
      return false
    }
    return uniqueFields.contains {
      before.values.count <= $0 || after.values.count <= $0 || before[$0] != after[$0]
    }
  }

  /// Inserts the documents, or replaces those that are there.
  func upsert(_ count: Int, row: (Int) -> (key: Key, row: Row)) throws {
    var next = 0
    for (size, batch) in DocumentWriter.sizes.enumerated() {
      while count - next >= batch {
        let statement = try upsertStatement(size)
        buffer.removeAll(keepingCapacity: true)
        starts.removeAll(keepingCapacity: true)
        for index in next..<next + batch {
          let (key, row) = row(index)
          starts.append(buffer.count)
          guard collection.writeID(of: key, into: &buffer) else {
            throw SinkErrors.misfit(collection.name)
          }
          starts.append(buffer.count)
          guard collection.key(of: row) == key, collection.write(row, into: &buffer) else {
            throw SinkErrors.misfit(collection.name)
          }
        }
        starts.append(buffer.count)
        try buffer.withUnsafeBytes { bytes in
          var parameter: Int32 = 1
          for part in 0..<starts.count - 1 {
            let piece = UnsafeRawBufferPointer(rebasing: bytes[starts[part]..<starts[part + 1]])
            statement.bindText(parameter, borrowing: piece)
            parameter += 1
          }
          try statement.run()
        }
        next += batch
      }
    }
  }

  private func upsertStatement(_ size: Int) throws -> Statement {
    if let statement = upserts[size] { return statement }
    let rows = [String](repeating: "(?,?)", count: DocumentWriter.sizes[size])
    let statement = try connection.prepare(
      "INSERT INTO \"\(table)\" (_id, document) VALUES \(rows.joined(separator: ",")) "
        + "ON CONFLICT (_id) DO UPDATE SET document=excluded.document")
    upserts[size] = statement
    return statement
  }

  /// Deletes the document with that key, if there is one.
  func delete(_ key: Key) throws {
    let statement: Statement
    if let deletion {
      statement = deletion
    } else {
      statement = try connection.prepare("DELETE FROM \"\(table)\" WHERE _id = ?")
      deletion = statement
    }
    guard let id = collection.id(of: key) else { throw SinkErrors.misfit(collection.name) }
    statement.bind(1, id)
    try statement.run()
  }
}

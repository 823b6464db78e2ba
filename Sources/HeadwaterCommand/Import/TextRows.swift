import Headwater

/// The rows of a CSV or TSV file, columns found by the names in its header.
struct CSVRows: ImportSource {
  private static let batchBytes = 4 << 20

  let name: String
  let identity: String?
  let unit = "line"
  private let schema: Schema
  private let collection: CollectionType
  private var file: HashedFile
  private var reader: CSVReader
  private let options: CSVReader.Options
  /// The field of each column, once the header was read.
  private var fields: [Int]?
  private var rows = 0
  private var isAtEnd = false
  private var offset = 0

  init(_ path: String, separator: UInt8, schema: Schema, collection: CollectionType) throws {
    let input = try InputFile(path)
    name = input.name
    identity = input.isRegular ? InputFile.absolutePath(path) : nil
    self.schema = schema
    self.collection = collection
    file = HashedFile(input)
    options = CSVReader.Options(separator: separator)
    reader = CSVReader(options)
  }

  mutating func resume(at bookmark: ImportBookmark) throws {
    // The header first, as a reader from the start finds it.
    guard try readHeader() else { throw changed(bookmark) }
    guard let rest = try file.skip(to: bookmark.place.offset),
      file.digest(upTo: bookmark.place.offset) == bookmark.digest
    else { throw changed(bookmark) }
    reader = CSVReader(options, resumingAt: bookmark.place, header: reader.header)
    reader.append(rest)
    rows = bookmark.rows
    offset = bookmark.place.offset
  }

  /// Reads until the names of the columns are known; false where there are none.
  private mutating func readHeader() throws -> Bool {
    while reader.header == nil {
      // Nothing but the header is taken: a record that follows it is read again on resumption.
      if try record() == nil { break }
    }
    return reader.header != nil
  }

  private mutating func record() throws -> CSVRecord? {
    while true {
      do {
        if let record = try reader.next() { return record }
      } catch {
        throw Failure("invalid", "\(name), \(error)")
      }
      if isAtEnd { return nil }
      let bytes = try file.read()
      if bytes.isEmpty {
        isAtEnd = true
        reader.finish()
      } else {
        reader.append(bytes)
      }
    }
  }

  mutating func next(limit: Int) throws -> ImportBatch? {
    var batch: ImportBatch?
    let start = offset
    while (batch?.rows.count ?? 0) < limit, offset - start < CSVRows.batchBytes,
      let record = try record()
    {
      let fields = try columns()
      var row = Row(Array(repeating: nil, count: collection.fields.count))
      for (column, cell) in record.cells.enumerated() {
        let field = fields[column]
        do throws(ValueError) {
          row[field] = try schema.value(fromCell: cell, for: collection.fields[field].type)
        } catch {
          throw failure(
            record.line, "column \(column + 1), “\(reader.header?[column] ?? "")”: \(error)")
        }
      }
      rows += 1
      offset = record.end.offset
      if batch == nil {
        batch = ImportBatch(
          bookmark: ImportBookmark(rows: rows, place: record.end, digest: .zero))
        batch?.rows.reserveCapacity(limit)
        batch?.lines.reserveCapacity(limit)
      }
      batch?.rows.append(row)
      batch?.lines.append(record.line)
      batch?.bookmark.rows = rows
      batch?.bookmark.place = record.end
    }
    if batch == nil, reader.header != nil { _ = try columns() }
    if let place = batch?.bookmark.place {
      batch?.bookmark.digest = file.digest(upTo: place.offset)
    }
    return batch
  }

  /// Which field each column is; throws where the header does not fit the collection.
  private mutating func columns() throws -> [Int] {
    if let fields { return fields }
    let found = try ColumnMap.fields(
      named: reader.header ?? [], schema: schema, collection: collection, source: name)
    fields = found
    return found
  }
}

/// The rows of an NDJSON file: an object a line.
struct NDJSONRows: ImportSource {
  private static let batchBytes = 4 << 20

  let name: String
  let identity: String?
  let unit = "line"
  private let schema: Schema
  private let collection: CollectionType
  private var file: HashedFile
  private var reader = NDJSONReader()
  private var rows = 0
  private var isAtEnd = false
  private var offset = 0

  init(_ path: String, schema: Schema, collection: CollectionType) throws {
    let input = try InputFile(path)
    name = input.name
    identity = input.isRegular ? InputFile.absolutePath(path) : nil
    self.schema = schema
    self.collection = collection
    file = HashedFile(input)
  }

  mutating func resume(at bookmark: ImportBookmark) throws {
    guard let rest = try file.skip(to: bookmark.place.offset),
      file.digest(upTo: bookmark.place.offset) == bookmark.digest
    else { throw changed(bookmark) }
    reader = NDJSONReader(resumingAt: bookmark.place)
    reader.append(rest)
    rows = bookmark.rows
    offset = bookmark.place.offset
  }

  private mutating func record() throws -> NDJSONRecord? {
    while true {
      do {
        if let record = try reader.next() { return record }
      } catch {
        throw Failure("invalid", "\(name), \(error)")
      }
      if isAtEnd { return nil }
      let bytes = try file.read()
      if bytes.isEmpty {
        isAtEnd = true
        reader.finish()
      } else {
        reader.append(bytes)
      }
    }
  }

  mutating func next(limit: Int) throws -> ImportBatch? {
    var batch: ImportBatch?
    let start = offset
    while (batch?.rows.count ?? 0) < limit, offset - start < NDJSONRows.batchBytes,
      let record = try record()
    {
      var row = Row(Array(repeating: nil, count: collection.fields.count))
      do throws(ValueError) {
        for (field, value) in try schema.members(of: record.value, in: collection) {
          row[field] = try schema.value(from: value, for: collection.fields[field])
        }
      } catch {
        throw failure(record.line, "\(error)")
      }
      if collection.hasGeneratedKey, row[collection.keyFields[0]] != nil {
        throw failure(record.line, ColumnMap.generated(collection))
      }
      rows += 1
      offset = record.end.offset
      if batch == nil {
        batch = ImportBatch(
          bookmark: ImportBookmark(rows: rows, place: record.end, digest: .zero))
      }
      batch?.rows.append(row)
      batch?.lines.append(record.line)
      batch?.bookmark.rows = rows
      batch?.bookmark.place = record.end
    }
    if let place = batch?.bookmark.place {
      batch?.bookmark.digest = file.digest(upTo: place.offset)
    }
    return batch
  }
}

/// Finds the fields that the columns of a table of text or SQL are.
enum ColumnMap {
  static func fields(
    named names: [String], schema: Schema, collection: CollectionType, source: String
  ) throws -> [Int] {
    var fields: [Int] = []
    for (index, name) in names.enumerated() {
      let field: Int
      do {
        let members = try schema.members(
          of: .object([RawJSON.Member(name, .null)]), in: collection)
        field = members[0].field
      } catch {
        let known = collection.fields.map(\.name).joined(separator: ", ")
        throw Failure(
          "invalid",
          "\(source), column \(index + 1), “\(name)”: \(error.message) (\(collection.name) has \(known))"
        )
      }
      guard !fields.contains(field) else {
        throw Failure("invalid", "\(source): two columns are called “\(name)”")
      }
      if collection.hasGeneratedKey, collection.keyFields.contains(field) {
        throw Failure(
          "invalid", "\(source), column \(index + 1): \(generated(collection))")
      }
      fields.append(field)
    }
    for (index, field) in collection.fields.enumerated() where !fields.contains(index) {
      let isGenerated = collection.hasGeneratedKey && collection.keyFields.contains(index)
      guard isGenerated || field.type.isOptional || field.defaultValue != nil else {
        throw Failure(
          "invalid",
          "\(source) has no column “\(field.name)”, which a row of \(collection.name) needs")
      }
    }
    return fields
  }

  static func generated(_ collection: CollectionType) -> String {
    "the key of \(collection.name) is generated: leave out “\(collection.fields[collection.keyFields[0]].name)”"
  }
}

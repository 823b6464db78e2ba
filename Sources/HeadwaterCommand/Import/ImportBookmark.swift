import Headwater

/// How far a file is imported: kept in the store, in one commit with the rows.
struct ImportBookmark: Sendable, Hashable {
  /// Rows imported.
  var rows: Int
  /// Where the next record begins; for a table the number of rows read.
  var place: RecordPlace
  /// The hash of everything before it.
  var digest: Digest

  /// Under what name the store keeps it.
  static func name(collection: String, source: String) -> String {
    "import \(collection) \(source)"
  }

  var bytes: [UInt8] {
    var line = JSONLine()
    line.int("rows", Int64(rows))
    line.int("line", Int64(place.line))
    line.int("offset", Int64(place.offset))
    line.string("digest", digest.hex)
    return line.closed()
  }

  init(rows: Int, place: RecordPlace, digest: Digest) {
    self.rows = rows
    self.place = place
    self.digest = digest
  }

  /// Nil for bytes of a version that this one does not know.
  init?(_ bytes: [UInt8]) {
    guard let raw = try? RawJSON(text: bytes), let rows = raw["rows"]?.int,
      let line = raw["line"]?.int, let offset = raw["offset"]?.int,
      let digest = raw["digest"]?.string.flatMap({ Digest(hex: $0) }), rows >= 0, line >= 1,
      offset >= 0
    else { return nil }
    self.init(
      rows: Int(rows), place: RecordPlace(line: Int(line), offset: Int(offset)), digest: digest)
  }
}

/// Rows that make one operation.
struct ImportBatch: Sendable {
  var rows: [Row] = []
  /// What to call each row in an error: the line of a file, the number of a row of a table.
  var lines: [Int] = []
  /// How far the file is read after these rows.
  var bookmark: ImportBookmark
}

/// A file or table whose rows are imported, read once from where the import stands.
protocol ImportSource {
  /// For errors: `cities.csv`.
  var name: String { get }
  /// What the number of a row is: `line`, or `row` of a table.
  var unit: String { get }
  /// Where the bookmark belongs; nil for what cannot be read again.
  var identity: String? { get }

  /// Goes to where an earlier import stopped; throws if what lies before has changed.
  mutating func resume(at bookmark: ImportBookmark) throws
  /// The next rows, at most `limit`; nil at the end. After an error it is not called again.
  mutating func next(limit: Int) throws -> ImportBatch?
}

extension ImportSource {
  /// What is said where the part of the file that was imported is not what it was.
  func changed(_ bookmark: ImportBookmark) -> Failure {
    Failure(
      "changed",
      "\(name) is not the file that \(Figures.count(bookmark.rows)) rows were imported from: what was read "
        + "then has changed. Import it under another name, or with --restart from the start (rows with "
        + "keys of their own are assigned again, rows with generated keys are made a second time)")
  }

  /// The failure of a row.
  func failure(_ line: Int, _ message: String, code: String = "invalid") -> Failure {
    Failure(code, "\(name), \(unit) \(line): \(message)")
  }
}

/// A file that is read in pieces and hashed up to the end of the last record taken from it.
struct HashedFile {
  private static let pieceBytes = 1 << 18

  let file: InputFile
  private var hash = SodiumSuite().makeStreamingHash()
  private var pieces: [UInt8] = []
  private var hashedOffset = 0

  init(_ file: InputFile) { self.file = file }

  /// The next bytes; none at the end.
  mutating func read() throws -> [UInt8] {
    let bytes = try file.read(HashedFile.pieceBytes)
    pieces += bytes
    return bytes
  }

  /// The hash of the first `offset` bytes, which have been read and not been hashed beyond.
  mutating func digest(upTo offset: Int) -> Digest {
    let count = max(0, min(offset - hashedOffset, pieces.count))
    pieces.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    pieces.removeFirst(count)
    hashedOffset += count
    return hash.digest()
  }

  /// Reads on to `offset`; gives the bytes behind it that were read already, nil where the file is shorter.
  mutating func skip(to offset: Int) throws -> [UInt8]? {
    while hashedOffset + pieces.count < offset {
      guard try !read().isEmpty else { return nil }
      if hashedOffset + pieces.count <= offset { _ = digest(upTo: offset) }
    }
    _ = digest(upTo: offset)
    return pieces
  }
}

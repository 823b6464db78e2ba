import HeadwaterModel

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The rows of the example Atlas, made of the ISO code lists that the system's package `iso-codes`
/// holds (LGPL-2.1-or-later; read where they are, not copied into this package).
struct AtlasData: Sendable {
  /// The rows of one collection of `Examples/Atlas/atlas.schema`.
  struct Collection: Sendable {
    let name: String
    /// Each row as a JSON object, without a line feed.
    let rows: [[UInt8]]

    /// The rows as NDJSON: one a line.
    var ndjson: [UInt8] { Array(rows.joined(separator: [0x0A])) + (rows.isEmpty ? [] : [0x0A]) }
  }

  /// Why there are no rows.
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// Where Debian and its relatives, Homebrew on Intel and on Apple silicon put the lists.
  static let usualDirectories = ["/usr/share", "/usr/local/share", "/opt/homebrew/share"]
    .map { $0 + "/iso-codes/json" }

  /// In an order in which all of it can be written: what a row refers to stands before it, in an
  /// earlier collection or earlier among the rows of its own.
  let collections: [Collection]
  /// References that were left out, because the lists do not hold what they name.
  let omittedReferences: Int

  var rowCount: Int { collections.reduce(0) { $0 + $1.rows.count } }

  /// Reads the lists in `directory`; of the usual ones the first that is there, if it is nil.
  init(directory: String? = nil) throws(Failure) {
    let candidates = directory.map { [$0] } ?? AtlasData.usualDirectories
    guard
      let found = candidates.first(where: {
        FileManager.default.fileExists(atPath: $0 + "/iso_3166-1.json")
      })
    else {
      throw Failure(
        description: "the ISO code lists are not in \(candidates.joined(separator: ", ")): install "
          + "them with 'apt-get install iso-codes' or 'brew install iso-codes'")
    }
    let lists = ISOLists(directory: found)
    let countries = try lists.entries("3166-1")
    let codes = Set(countries.compactMap { $0["alpha_2"] })
    var subdivisions = Subdivisions(try lists.entries("3166-2"), countries: codes)
    collections = [
      Collection(name: "Country", rows: try countries.map(AtlasData.country)),
      Collection(name: "Subdivision", rows: try subdivisions.ordered()),
      Collection(name: "LanguageFamily", rows: try lists.entries("639-5").map(AtlasData.family)),
      Collection(name: "Language", rows: try lists.entries("639-3").map(AtlasData.language)),
      Collection(name: "Script", rows: try lists.entries("15924").map(AtlasData.script)),
      Collection(
        name: "Currency",
        rows: try lists.entries("4217").map { (entry) throws(Failure) in
          try AtlasData.currency(entry, countries: codes)
        }),
      Collection(
        name: "FormerCountry", rows: try lists.entries("3166-3").map(AtlasData.formerCountry)),
    ]
    omittedReferences = subdivisions.omittedReferences
  }
}

// MARK: - One row

extension AtlasData {
  private static func country(_ entry: ISOEntry) throws(Failure) -> [UInt8] {
    var row = RowText()
    row.add("code", try entry.required("alpha_2"))
    row.add("alpha3", try entry.required("alpha_3"))
    row.add("numeric", try entry.required("numeric"))
    row.add("name", try entry.required("name"))
    row.add("officialName", entry["official_name"])
    row.add("commonName", entry["common_name"])
    row.add("flag", entry["flag"])
    return row.finished()
  }

  private static func family(_ entry: ISOEntry) throws(Failure) -> [UInt8] {
    var row = RowText()
    row.add("code", try entry.required("alpha_3"))
    row.add("name", try entry.required("name"))
    return row.finished()
  }

  private static func language(_ entry: ISOEntry) throws(Failure) -> [UInt8] {
    let scopes = ["I": "individual", "M": "macrolanguage", "S": "special"]
    let vitalities = [
      "L": "living", "E": "extinct", "A": "ancient", "H": "historical", "C": "constructed",
      "S": "special",
    ]
    var row = RowText()
    row.add("code", try entry.required("alpha_3"))
    row.add("alpha2", entry["alpha_2"])
    row.add("bibliographic", entry["bibliographic"])
    row.add("name", try entry.required("name"))
    row.add("invertedName", entry["inverted_name"])
    row.add("commonName", entry["common_name"])
    row.add("scope", try entry.required("scope", as: scopes))
    row.add("vitality", try entry.required("type", as: vitalities))
    return row.finished()
  }

  private static func script(_ entry: ISOEntry) throws(Failure) -> [UInt8] {
    var row = RowText()
    row.add("code", try entry.required("alpha_4"))
    row.add("numeric", try entry.required("numeric"))
    row.add("name", try entry.required("name"))
    return row.finished()
  }

  private static func currency(
    _ entry: ISOEntry, countries: Set<String>
  ) throws(Failure) -> [UInt8] {
    let code = try entry.required("alpha_3")
    let country = String(code.prefix(2))
    var row = RowText()
    row.add("code", code)
    row.add("numeric", try entry.required("numeric"))
    row.add("name", try entry.required("name"))
    row.add("country", countries.contains(country) ? country : nil)
    return row.finished()
  }

  private static func formerCountry(_ entry: ISOEntry) throws(Failure) -> [UInt8] {
    let date = try entry.required("withdrawal_date")
    guard let year = Int64(date.prefix(4)) else {
      throw Failure(description: "\(entry.place) has no year of withdrawal")
    }
    var row = RowText()
    row.add("code", try entry.required("alpha_4"))
    row.add("alpha2", try entry.required("alpha_2"))
    row.add("alpha3", try entry.required("alpha_3"))
    row.add("numeric", entry["numeric"])
    row.add("name", try entry.required("name"))
    row.add("comment", entry["comment"])
    row.add("withdrawnIn", year)
    // Some have a year only.
    row.add("withdrawnOn", CalendarDate(date)?.description)
    return row.finished()
  }
}

/// The list of ISO 3166-2, put into an order in which parents stand before what belongs to them.
private struct Subdivisions {
  private let entries: [ISOEntry]
  private let countries: Set<String>
  private(set) var omittedReferences = 0

  init(_ entries: [ISOEntry], countries: Set<String>) {
    self.entries = entries
    self.countries = countries
  }

  mutating func ordered() throws(AtlasData.Failure) -> [[UInt8]] {
    var codes: [String] = []
    for entry in entries { codes.append(try entry.required("code")) }
    let indices = Dictionary(zip(codes, codes.indices)) { first, _ in first }
    var children: [[Int]] = Array(repeating: [], count: codes.count)
    var parents: [Int?] = Array(repeating: nil, count: codes.count)
    var queue: [Int] = []
    for (index, entry) in entries.enumerated() {
      if let parent = entry["parent"] {
        // Either the whole code or what follows the hyphen.
        let code =
          parent.contains("-") ? parent : "\(codes[index].prefix { $0 != "-" })-\(parent)"
        if let found = indices[code] {
          parents[index] = found
          children[found].append(index)
          continue
        }
        omittedReferences += 1
      }
      queue.append(index)
    }
    var rows: [[UInt8]] = []
    var isDone = Array(repeating: false, count: codes.count)
    func visit(_ queue: inout [Int]) throws(AtlasData.Failure) {
      var next = 0
      while next < queue.count {
        let index = queue[next]
        next += 1
        guard !isDone[index] else { continue }
        isDone[index] = true
        rows.append(try row(index, code: codes[index], parent: parents[index].map { codes[$0] }))
        queue += children[index]
      }
    }
    try visit(&queue)
    // Whatever is left belongs to itself in the end; the circle is cut where the list begins it.
    for index in codes.indices where !isDone[index] {
      parents[index] = nil
      omittedReferences += 1
      var queue = [index]
      try visit(&queue)
    }
    return rows
  }

  private func row(_ index: Int, code: String, parent: String?) throws(AtlasData.Failure)
    -> [UInt8]
  {
    let entry = entries[index]
    let country = String(code.prefix { $0 != "-" })
    guard countries.contains(country) else {
      throw AtlasData.Failure(description: "\(entry.place) is of a country that the lists lack")
    }
    var row = RowText()
    row.add("code", code)
    row.add("country", country)
    row.add("parent", parent)
    row.add("name", try entry.required("name"))
    row.add("kind", try entry.required("type"))
    return row.finished()
  }
}

// MARK: - Reading and writing

/// The lists in one directory.
private struct ISOLists {
  let directory: String

  /// The entries of the list of one standard, in the order of the file.
  func entries(_ standard: String) throws(AtlasData.Failure) -> [ISOEntry] {
    let path = "\(directory)/iso_\(standard).json"
    let content: RawJSON
    do {
      content = try RawJSON(text: [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))))
    } catch {
      throw AtlasData.Failure(description: "cannot read \(path): \(error)")
    }
    guard let elements = content[standard]?.elements else {
      throw AtlasData.Failure(description: "\(path) holds no list called \(standard)")
    }
    return elements.enumerated().map { index, element in
      ISOEntry(content: element, place: "entry \(index + 1) of \(path)")
    }
  }
}

/// One entry of a list.
private struct ISOEntry {
  let content: RawJSON
  /// What to call the entry in an error.
  let place: String

  subscript(name: String) -> String? {
    guard case .string(let text) = content[name] else { return nil }
    return text
  }

  func required(_ name: String) throws(AtlasData.Failure) -> String {
    guard let text = self[name] else {
      throw AtlasData.Failure(description: "\(place) has no \(name)")
    }
    return text
  }

  func required(_ name: String, as cases: [String: String]) throws(AtlasData.Failure) -> String {
    guard let text = cases[try required(name)] else {
      throw AtlasData.Failure(description: "\(place) has a \(name) that is not known here")
    }
    return text
  }
}

/// A row as a JSON object, written member by member.
private struct RowText {
  private var text: [UInt8] = [UInt8(ascii: "{")]

  mutating func add(_ name: String, _ value: String?) {
    guard let value else { return }
    begin(name)
    JSONText.write(value, into: &text)
  }

  mutating func add(_ name: String, _ value: Int64) {
    begin(name)
    JSONText.write(value, into: &text)
  }

  private mutating func begin(_ name: String) {
    if text.count > 1 { text.append(UInt8(ascii: ",")) }
    JSONText.write(name, into: &text)
    text.append(UInt8(ascii: ":"))
  }

  func finished() -> [UInt8] { text + [UInt8(ascii: "}")] }
}

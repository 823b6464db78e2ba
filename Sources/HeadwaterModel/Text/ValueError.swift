/// Why a text or JSON value is not a value of a field.
public struct ValueError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The field, and the record fields within it: `size.width`. Empty for a value outside a field.
  public let path: String
  /// What is wrong, without any of the data.
  public let message: String

  public init(_ message: String, path: String = "") {
    self.message = message
    self.path = path
  }

  /// The same error as seen from around the field or record `name`.
  public func inside(_ name: String) -> ValueError {
    ValueError(message, path: path.isEmpty ? name : name + "." + path)
  }

  public var description: String { path.isEmpty ? message : "\(path): \(message)" }
}

/// Finds what somebody may have meant.
enum Spelling {
  /// “; did you mean …?” with the name closest to `name`, or nothing where none is close.
  static func suggestion(for name: String, among names: [String]) -> String {
    // A name longer than any that a schema has is no slip of the finger.
    let given = Array(name.unicodeScalars.prefix(65))
    guard given.count <= 64 else { return "" }
    var best: (name: String, distance: Int)?
    for candidate in names {
      let distance = distance(given, Array(candidate.unicodeScalars))
      if distance <= (candidate.unicodeScalars.count + 2) / 3, distance < best?.distance ?? .max {
        best = (candidate, distance)
      }
    }
    return best.map { "; did you mean “\($0.name)”?" } ?? ""
  }

  /// How many insertions, deletions and replacements lie between the two.
  private static func distance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        let above = row[j + 1]
        let same = x.properties.lowercaseMapping == y.properties.lowercaseMapping
        row[j + 1] = min(above + 1, row[j] + 1, diagonal + (same ? 0 : 1))
        diagonal = above
      }
    }
    return row[b.count]
  }
}

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

func closeDescriptor(_ descriptor: Int32) { close(descriptor) }

/// The names of the mirror's own files and folders.
enum DirectoryLayout {
  /// The file that says how far the mirror is.
  static let state = "headwater.json"
  /// The link to the folder of the published generation.
  static let current = "current"
  static let journal = ".headwater/journal"
  static let index = "_index.json"
  static let jsonSchema = "_schema.json"
  static let schema = "headwater.schema"
  static let suffix = ".json"

  /// The folder of a generation.
  static func folder(_ generation: Int64) -> String { "g\(generation)" }
}

/// Where the documents of one collection lie below its folder.
enum DocumentFolder {
  /// A name of a file may have 255 bytes; what an id has more goes into folders.
  private static let chunk = 200

  /// How many levels of folders a collection of that many documents has: each level has 256 folders.
  static func levels(for count: Int) -> Int { count <= 1_000 ? 0 : count <= 1_048_576 ? 1 : 2 }

  /// The path of a document.
  static func path(of id: String, levels: Int) -> String {
    var path = ""
    if levels > 0 {
      let hash = FNV.hash(id.utf8)
      let folded = UInt16(truncatingIfNeeded: hash ^ hash >> 32 ^ hash >> 16 ^ hash >> 48)
      path = hexadecimalByte(UInt8(folded >> 8)) + "/"
      if levels > 1 { path += hexadecimalByte(UInt8(truncatingIfNeeded: folded)) + "/" }
    }
    // An id has no single “=” before its end, so no part that ends in one is the end of another id.
    var rest = id.utf8[...]
    while rest.count > chunk {
      path += (String(rest.prefix(chunk)) ?? "") + "=/"
      rest = rest.dropFirst(chunk)
    }
    return path + (String(rest) ?? "") + DirectoryLayout.suffix
  }

  private static func hexadecimalByte(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16)
    return digits.utf8.count == 1 ? "0" + digits : digits
  }

  /// The ids of all documents below a collection's folder, in no order, with the paths at which they were found.
  ///
  /// - Returns: nil where there is no such folder. Files that do not end in `.json`, hidden ones and those that begin
  ///   with `_` are not looked at.
  static func documents(in folder: String, _ tree: FileTree) throws
    -> [(id: String, path: String)]?
  {
    var found: [(id: String, path: String)] = []
    func walk(_ path: String, _ prefix: String, _ depth: Int) throws -> Bool {
      guard let entries = try tree.list(path.isEmpty ? folder : folder + "/" + path) else {
        return false
      }
      for (name, isDirectory) in entries {
        if name.hasPrefix(".") || name.hasPrefix("_") { continue }
        let inner = path.isEmpty ? name : path + "/" + name
        if isDirectory {
          // A part of a long id, or a level.
          if name.hasSuffix("=") {
            _ = try walk(inner, prefix + name.dropLast(), depth + 1)
          } else if depth < 2, prefix.isEmpty {
            _ = try walk(inner, "", depth + 1)
          }
        } else if name.hasSuffix(DirectoryLayout.suffix) {
          found.append((prefix + name.dropLast(DirectoryLayout.suffix.count), inner))
        }
      }
      return true
    }
    return try walk("", "", 0) ? found : nil
  }

  /// Moves every document of a collection to where `levels` of folders put it.
  static func spread(_ folder: String, levels: Int, in tree: FileTree) throws {
    guard let documents = try documents(in: folder, tree) else { return }
    for (id, path) in documents {
      let wanted = DocumentFolder.path(of: id, levels: levels)
      if wanted != path { try tree.move(folder + "/" + path, to: folder + "/" + wanted) }
    }
  }

  /// Removes the folder of a generation with everything in it that a mirror may have made; what else somebody put
  /// there stays.
  static func removeGeneration(_ folder: String, in tree: FileTree) throws {
    func clear(_ path: String, _ depth: Int) throws {
      guard let entries = try tree.list(path) else { return }
      for (name, isDirectory) in entries {
        let inner = path + "/" + name
        if isDirectory {
          if depth < 24 { try clear(inner, depth + 1) }
        } else if name.hasSuffix(DirectoryLayout.suffix) || name == DirectoryLayout.schema {
          try tree.remove(inner)
        }
      }
      try tree.removeDirectory(path)
    }
    try clear(folder, 0)
  }
}

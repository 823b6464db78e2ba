import HeadwaterModel
import HeadwaterStream

/// The file `headwater.json`: how far the mirror is, and which generation is the one to read.
struct DirectoryState {
  var published: Int64?
  var filling: Int64?
  let checkpoint: [UInt8]

  init(published: Int64?, filling: Int64?, checkpoint: [UInt8]) {
    self.published = published
    self.filling = filling
    self.checkpoint = checkpoint
  }

  /// Nil where the text is not such a file.
  init?(text: [UInt8]) {
    guard let json = try? JSON(text: text), json["format"] == .int(1),
      case .string(let encoded)? = json["checkpoint"], let bytes = Base64.bytes(encoded.utf8)
    else { return nil }
    checkpoint = bytes
    if case .int(let generation)? = json["published"] { published = generation }
    if case .int(let generation)? = json["filling"] { filling = generation }
  }

  /// The file's bytes.
  func text(_ decoded: Checkpoint) -> [UInt8] {
    var encoded: [UInt8] = []
    Base64.write(checkpoint, into: &encoded)
    let json = JSON(members: [
      JSON.Member("format", .int(1)),
      JSON.Member("checkpoint", .string(String(decoding: encoded, as: UTF8.self))),
      JSON.Member("database", .string(decoded.database.hex)),
      JSON.Member("replica", .string(decoded.replica.description)),
      JSON.Member("mirror", .string(decoded.mirror)),
      JSON.Member("position", .int(decoded.position)),
      JSON.Member("schema", .string(decoded.schema.hex)),
      JSON.Member("phase", .string(decoded.isPublished ? "tail" : "snapshot")),
      JSON.Member("published", published.map { .int($0) } ?? .null),
      JSON.Member("filling", filling.map { .int($0) } ?? .null),
    ])
    var out: [UInt8] = []
    json?.writePretty(into: &out)
    out.append(0x0A)
    return out
  }
}

/// The file `_index.json` of a collection: how many documents there are, and where.
struct CollectionIndex: Equatable {
  var documents: Int
  var levels: Int

  init(documents: Int = 0, levels: Int = 0) {
    self.documents = documents
    self.levels = levels
  }

  /// Nil where the text is not such a file.
  init?(text: [UInt8]) {
    guard let json = try? JSON(text: text), case .int(let documents)? = json["documents"],
      case .int(let levels)? = json["levels"], documents >= 0, (0...2).contains(levels)
    else { return nil }
    self.documents = Int(documents)
    self.levels = Int(levels)
  }

  /// The file's bytes.
  func text(_ collection: DocumentCollection) -> [UInt8] {
    let keys = collection.keyFields.map { JSON.string(collection.fields[$0].name) }
    let folders = ["", "{first byte of the hash}/", "{first byte}/{second byte of the hash}/"]
    let json = JSON(members: [
      JSON.Member("collection", .string(collection.collectionName)),
      JSON.Member("documents", .int(Int64(documents))),
      JSON.Member("key", .array(keys)),
      JSON.Member("levels", .int(Int64(levels))),
      JSON.Member("path", .string(folders[levels] + "{_id}.json")),
      JSON.Member("schema", .string(DirectoryLayout.jsonSchema)),
    ])
    var out: [UInt8] = []
    json?.writePretty(into: &out)
    out.append(0x0A)
    return out
  }
}

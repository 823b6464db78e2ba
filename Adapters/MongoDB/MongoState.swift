import HeadwaterModel
import HeadwaterStream

/// The document `mirror` of the collection `headwater`: how far the mirror is, and what is its own.
struct MongoState {
  var checkpoint: [UInt8]
  var published: Int64?
  var filling: Int64?
  /// The collections of the published generation, in the order of its schema.
  var tables: [String] = []
  /// The collections of the generation that is being filled.
  var fillingTables: [String] = []
  var schemaText = ""
  var fillingSchemaText = ""
  /// What is left to do of a publication: collections to be renamed, and to be dropped.
  var moves: [Move] = []
  var drops: [String] = []

  struct Move {
    let from: String
    let to: String
  }

  /// The collection that holds the state.
  static let collection = "headwater"
  static let id = "mirror"

  init(checkpoint: [UInt8]) { self.checkpoint = checkpoint }

  /// Nil where the document is not of this form.
  init?(_ document: BSON) {
    guard document["format"]?.int == 1, let checkpoint = document["checkpoint"]?.binary,
      let tables = document["tables"]?.array, let filling = document["fillingTables"]?.array
    else { return nil }
    self.checkpoint = checkpoint
    published = document["published"]?.int
    self.filling = document["filling"]?.int
    self.tables = tables.compactMap(\.string)
    fillingTables = filling.compactMap(\.string)
    schemaText = document["schemaText"]?.string ?? ""
    fillingSchemaText = document["fillingSchemaText"]?.string ?? ""
    moves = (document["moves"]?.array ?? []).compactMap { move in
      guard let from = move["from"]?.string, let to = move["to"]?.string else { return nil }
      return Move(from: from, to: to)
    }
    drops = (document["drops"]?.array ?? []).compactMap(\.string)
  }

  func write(_ decoded: Checkpoint, into writer: inout BSONWriter) {
    writer.string("_id", MongoState.id)
    writer.int32("format", 1)
    writer.binary("checkpoint", checkpoint)
    writer.string("database", decoded.database.hex)
    writer.string("replica", decoded.replica.description)
    writer.string("mirror", decoded.mirror)
    writer.string("phase", decoded.isPublished ? "tail" : "snapshot")
    writer.int64("position", decoded.position)
    writer.string("schema", decoded.schema.hex)
    if let published { writer.int64("published", published) } else { writer.null("published") }
    if let filling { writer.int64("filling", filling) } else { writer.null("filling") }
    writer.strings("tables", tables)
    writer.strings("fillingTables", fillingTables)
    writer.string("schemaText", schemaText)
    writer.string("fillingSchemaText", fillingSchemaText)
    if !moves.isEmpty {
      writer.array("moves") { writer in
        for (index, move) in moves.enumerated() {
          writer.document(String(index)) {
            $0.string("from", move.from)
            $0.string("to", move.to)
          }
        }
      }
    }
    if !drops.isEmpty { writer.strings("drops", drops) }
  }
}

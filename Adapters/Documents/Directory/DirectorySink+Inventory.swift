import HeadwaterModel
import HeadwaterStream

extension DirectorySink {
  /// `RowInventory.rows`.
  func rows(of index: Int, in schema: Schema, after key: Key?, limit: Int) throws -> [Row] {
    try withTree(create: false) { tree in
      guard let state = try state(tree), let published = state.published else { return [] }
      let plan = try plan(of: schema)
      guard plan.collections.indices.contains(index) else { throw SinkErrors.noSuchCollection }
      let collection = plan.collections[index]
      let folder = DirectoryLayout.folder(published) + "/" + collection.name
      guard let text = try tree.read(folder + "/" + DirectoryLayout.index),
        let levels = CollectionIndex(text: text)?.levels
      else { throw SinkErrors.altered(path) }
      if !listing.isOf(index, at: state.checkpoint) {
        guard let documents = try DocumentFolder.documents(in: folder, tree) else {
          throw SinkErrors.altered(path)
        }
        for (id, path) in documents where DocumentFolder.path(of: id, levels: levels) != path {
          throw SinkErrors.damagedDocument(collection.name, "it is not where it should be")
        }
        guard let made = KeyListing(documents.map(\.id), of: collection, at: state.checkpoint)
        else { throw SinkErrors.damagedDocument(collection.name, "its name is no id") }
        listing = made
      }
      var rows: [Row] = []
      for id in listing.ids(after: key, limit: limit) {
        let file = folder + "/" + DocumentFolder.path(of: id, levels: levels)
        // Gone since it was listed: the comparison will say that it is missing.
        guard let text = try tree.read(file) else { continue }
        do throws(ValueError) {
          let row = try collection.row(of: text, in: schema)
          guard let key = collection.key(of: row), collection.id(of: key) == id else {
            throw ValueError("it is another document than its name says")
          }
          rows.append(row)
        } catch {
          throw SinkErrors.damagedDocument(collection.name, error.description)
        }
      }
      return rows
    } ?? []
  }
}

import HeadwaterModel
import HeadwaterStream

/// The blocking side of the adapter of a directory: one batch, with the lock held. Confined to the adapter's executor.
final class DirectorySink {
  let path: String
  private let lockTimeout: Int
  private let beforeChange: (() throws -> Void)?
  private var plan: DocumentPlan?
  /// What is known of the generation that takes changes, as of a checkpoint.
  private var known: (checkpoint: [UInt8], generation: Int64, indices: [CollectionIndex])?
  var listing = KeyListing()

  init(path: String, lockTimeout: Int, beforeChange: (() throws -> Void)?) {
    self.path = path
    self.lockTimeout = lockTimeout
    self.beforeChange = beforeChange
  }

  /// Forgets what is known of the directory.
  func forget() {
    known = nil
    listing = KeyListing()
  }

  // MARK: Opening

  /// Runs `body` with the lock held and a journal that was left behind done.
  ///
  /// - Returns: nil where there is no directory yet and `create` is false.
  func withTree<R>(create: Bool, _ body: (FileTree) throws -> R) throws -> R? {
    guard let tree = try open(create: create) else { return nil }
    tree.beforeChange = beforeChange
    if create {
      try tree.makeDirectory(FileTree.own)
    } else if !tree.exists(FileTree.own) {
      return nil
    }
    guard let lock = try tree.lock(milliseconds: lockTimeout) else {
      throw AdapterError(
        .unavailable, "Another process holds \(path) locked; trying again.", recovery: .retry)
    }
    return try withExtendedLifetime(lock) {
      try recover(tree)
      return try body(tree)
    }
  }

  private func open(create: Bool) throws -> FileTree? {
    do {
      return try FileTree(path: path)
    } catch let error as FileError {
      guard error.isMissing else { throw error }
      guard create else { return nil }
      try FileError.makeFolder(path)
      return try FileTree(path: path)
    }
  }

  /// Does what a batch that was interrupted had left to do.
  private func recover(_ tree: FileTree) throws {
    guard let journal = try tree.read(DirectoryLayout.journal) else { return }
    forget()
    guard try Journal.perform(journal, on: tree) else {
      throw AdapterError(
        .damaged,
        "The journal of \(path) is not whole, which no crash leaves behind: delete the folder and "
          + "mirror again.", recovery: .halt)
    }
    try tree.synchronise()
    try tree.remove(DirectoryLayout.journal)
  }

  /// What `headwater.json` says; nil where there is none.
  func state(_ tree: FileTree) throws -> DirectoryState? {
    guard let text = try tree.read(DirectoryLayout.state) else { return nil }
    guard let state = DirectoryState(text: text) else {
      throw AdapterError(
        .damaged,
        "\(DirectoryLayout.state) in \(path) is not what a mirror writes: restore it, or delete the "
          + "folder and mirror again.", recovery: .halt)
    }
    return state
  }

  func plan(of schema: Schema) throws(AdapterError) -> DocumentPlan {
    if let plan, plan.schema == schema { return plan }
    let made = try DocumentPlan(schema: schema)
    plan = made
    known = nil
    return made
  }

  // MARK: Applying

  /// `Adapter.apply`.
  func apply(_ batch: ChangeBatch) throws {
    let next = batch.checkpoint.canonicalBytes
    let previous = batch.previous?.canonicalBytes
    _ = try withTree(create: true) { tree in
      let stored = try state(tree)
      if stored?.checkpoint == next { return }
      guard stored?.checkpoint == previous else {
        throw SinkErrors.diverged(path, stored?.checkpoint, batch)
      }
      if stored == nil { try checkVacancy(tree) }
      var work = DirectoryWork(
        plan: try plan(of: batch.schema), tree: tree, path: path,
        published: stored?.published, filling: stored?.filling)
      if let known, known.checkpoint == previous, known.generation == work.target {
        work.indices = known.indices
      }
      for step in batch.steps { try work.perform(step) }
      try commit(&work, checkpoint: batch.checkpoint, bytes: next, tree)
    }
  }

  /// `RowInventory.repair`.
  func repair(_ changes: [Change], schema: Schema, at checkpoint: Checkpoint) throws {
    let bytes = checkpoint.canonicalBytes
    let done: Void? = try withTree(create: false) { tree in
      guard let stored = try state(tree), stored.checkpoint == bytes else {
        throw SinkErrors.movedOn(path)
      }
      guard stored.filling == nil, stored.published != nil else {
        throw SinkErrors.nothingToRepair
      }
      var work = DirectoryWork(
        plan: try plan(of: schema), tree: tree, path: path, published: stored.published,
        filling: nil)
      for change in changes { try work.perform(.change(change)) }
      try commit(&work, checkpoint: checkpoint, bytes: bytes, tree)
    }
    listing = KeyListing()
    if done == nil { throw SinkErrors.movedOn(path) }
  }

  private func commit(
    _ work: inout DirectoryWork, checkpoint: Checkpoint, bytes: [UInt8], _ tree: FileTree
  ) throws {
    let state = DirectoryState(
      published: work.published, filling: work.filling, checkpoint: bytes)
    work.finish(state.text(checkpoint))
    known = nil
    // From here on the batch is done, whatever happens: the journal says how.
    let journal = work.journal.finish()
    try tree.replace(DirectoryLayout.journal, journal, synchronised: true)
    guard try Journal.perform(journal, on: tree) else {
      throw AdapterError(.misuse, "A journal was written that cannot be read.", recovery: .halt)
    }
    try tree.synchronise()
    try tree.remove(DirectoryLayout.journal)
    if let target = work.target { known = (bytes, target, work.indices) }
  }

  /// A directory that holds something else is not ours to fill; hidden files (of git, say) do no harm.
  private func checkVacancy(_ tree: FileTree) throws {
    let strangers = try tree.list(".")?.filter { !$0.name.hasPrefix(".") } ?? []
    guard strangers.isEmpty else {
      throw AdapterError(
        .occupied,
        "\(path) holds \(strangers.count == 1 ? "a file" : "\(strangers.count) files") that no mirror made: "
          + "give the mirror a folder of its own.", recovery: .halt)
    }
    if !tree.exists(FileTree.own + "/.gitignore") {
      try tree.replace(FileTree.own + "/.gitignore", Array("*\n".utf8), synchronised: false)
    }
  }
}

/// What a batch will do, collected in a journal before anything is done.
struct DirectoryWork {
  let plan: DocumentPlan
  let tree: FileTree
  let path: String
  var published: Int64?
  var filling: Int64?
  /// Of the generation that takes changes; read when they are needed.
  var indices: [CollectionIndex] = []
  var journal = Journal()
  private var begun = false
  private var changed: Set<Int> = []

  init(plan: DocumentPlan, tree: FileTree, path: String, published: Int64?, filling: Int64?) {
    self.plan = plan
    self.tree = tree
    self.path = path
    self.published = published
    self.filling = filling
  }

  /// The generation that takes changes.
  var target: Int64? { filling ?? published }

  mutating func perform(_ step: ChangeBatch.Step) throws {
    switch step {
    case .begin(let generation): try begin(generation)
    case .publish(let generation): try publish(generation)
    case .migrate: throw SinkErrors.migrate
    case .change(let change): try perform(change)
    }
  }

  private mutating func begin(_ generation: Int64) throws {
    guard generation != published else { throw SinkErrors.published(generation) }
    if let filling { journal.removeGeneration(DirectoryLayout.folder(filling)) }
    let folder = DirectoryLayout.folder(generation)
    journal.removeGeneration(folder)
    journal.setBase(folder)
    journal.write(
      DirectoryLayout.schema, isVisible: false, Array(plan.schema.canonicalText.utf8))
    indices = plan.collections.map { _ in CollectionIndex() }
    for collection in plan.collections {
      journal.setBase(folder + "/" + collection.name)
      journal.write(DirectoryLayout.jsonSchema, isVisible: false, collection.jsonSchemaText)
      journal.write(
        DirectoryLayout.index, isVisible: false, CollectionIndex().text(collection))
    }
    filling = generation
    begun = true
  }

  private mutating func publish(_ generation: Int64) throws {
    guard filling == generation else { throw SinkErrors.notBegun(generation) }
    if indices.isEmpty { try loadIndices() }
    finishIndices()
    journal.publish(DirectoryLayout.folder(generation))
    if let published { journal.removeGeneration(DirectoryLayout.folder(published)) }
    published = generation
    filling = nil
  }

  private mutating func perform(_ change: Change) throws {
    guard plan.collections.indices.contains(change.collection) else {
      throw SinkErrors.noSuchCollection
    }
    guard let target else { throw SinkErrors.noGeneration }
    if indices.isEmpty { try loadIndices() }
    let collection = plan.collections[change.collection]
    guard let id = collection.id(of: change.key) else {
      throw SinkErrors.misfit(collection.name)
    }
    let folder = DirectoryLayout.folder(target) + "/" + collection.name
    let name = DocumentFolder.path(of: id, levels: indices[change.collection].levels)
    let exists = !begun && tree.exists(folder + "/" + name)
    journal.setBase(folder)
    if let row = change.after {
      guard collection.key(of: row) == change.key,
        journal.write(name, isVisible: filling == nil, { collection.writePretty(row, into: &$0) })
      else { throw SinkErrors.misfit(collection.name) }
      if !exists {
        indices[change.collection].documents += 1
        changed.insert(change.collection)
      }
    } else if exists {
      journal.remove(name)
      indices[change.collection].documents -= 1
      changed.insert(change.collection)
    }
  }

  private mutating func loadIndices() throws {
    guard let target else { throw SinkErrors.noGeneration }
    let folder = DirectoryLayout.folder(target)
    guard let schema = try tree.read(folder + "/" + DirectoryLayout.schema),
      schema == Array(plan.schema.canonicalText.utf8)
    else { throw SinkErrors.altered(path) }
    for collection in plan.collections {
      guard
        let text = try tree.read(folder + "/" + collection.name + "/" + DirectoryLayout.index),
        let index = CollectionIndex(text: text)
      else { throw SinkErrors.altered(path) }
      indices.append(index)
    }
  }

  /// Writes the index files that changed, and spreads what has outgrown its folders.
  private mutating func finishIndices() {
    guard let target else { return }
    for collection in plan.collections where changed.contains(collection.index) {
      let folder = DirectoryLayout.folder(target) + "/" + collection.name
      let levels = DocumentFolder.levels(for: indices[collection.index].documents)
      // Never fewer than before: documents would wander to and fro.
      if levels > indices[collection.index].levels {
        indices[collection.index].levels = levels
        journal.spread(folder, levels: levels)
      }
      journal.setBase(folder)
      journal.write(
        DirectoryLayout.index, isVisible: filling == nil,
        indices[collection.index].text(collection))
    }
    changed = []
  }

  mutating func finish(_ state: [UInt8]) {
    finishIndices()
    journal.setState(state)
  }
}

import HeadwaterModel
import HeadwaterRelational
import HeadwaterStream

/// The blocking side of the adapter: one connection, and what is known of the schemas behind it.
///
/// Confined to the adapter's executor. After an error the transaction has been rolled back and everything that was
/// remembered is forgotten.
final class Sink {
  let connection: ServerConnection
  let configuration: PostgresConfiguration
  let places: Places
  let catalogue: Catalogue
  let dialect: PostgresDialect
  let paths: WritePaths
  private var plan: RelationalPlan?
  /// What the manifest says; nil until it was read in the transaction that needs it.
  var layout: Layout?
  private var writers: [Int: TableWriter] = [:]
  /// Whether tables were mended as far as that was possible without the rows that the source will say.
  var isBeingMended = false
  /// How the server spells checks, by the UTF-8 of how they are declared (`learnChecks`).
  var spelledChecks: [[UInt8]: String] = [:]
  /// The statements that every transaction begins with.
  let opening: String

  /// What the manifest says, valid as long as the checkpoint was not moved by others.
  struct Layout {
    /// The checkpoint with which it was read or written.
    var checkpoint: [UInt8]?
    var publishedGeneration: Int64?
    var fillingGeneration: Int64?
    /// Whether the tables of the generation being filled have their primary keys.
    var isKeyed = false
    /// Whether the tables were compared with the plan.
    var isChecked = false

    /// Whether changes go to tables that readers do not see.
    var isFilling: Bool { fillingGeneration != nil }
  }

  /// The oldest server that is supported, as libpq counts.
  static let minimumVersion = 150_000

  init(_ configuration: PostgresConfiguration, minimumVersion: Int, paths: WritePaths) throws {
    self.configuration = configuration
    self.paths = paths
    connection = try ServerConnection(configuration.settings)
    places = Places(schema: configuration.schema)
    catalogue = Catalogue(connection: connection, places: places)
    dialect = PostgresDialect(keepsHistory: configuration.keepsHistory)
    opening = "BEGIN ISOLATION LEVEL READ COMMITTED"
    guard connection.serverVersion >= minimumVersion else {
      throw AdapterError(
        .unsupported,
        "\(configuration.description) is PostgreSQL \(connection.serverVersion / 10_000): Headwater needs "
          + "\(minimumVersion / 10_000) or later.", recovery: .halt)
    }
    guard connection.parameter("server_encoding") == "UTF8" else {
      throw AdapterError(
        .unsupported,
        "The database \(connection.database) keeps its texts in \(connection.parameter("server_encoding") ?? "?"): "
          + "make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.", recovery: .halt)
    }
    // Every name is written in full, so nothing that stands in another schema is taken for ours.
    try connection.execute(
      "SET search_path = ''; SET lock_timeout = \(configuration.lockTimeout)")
  }

  // MARK: Transactions

  /// Runs `body` in a transaction of its own, alone among the mirrors of this schema. Rolls back and forgets
  /// everything if it fails.
  ///
  /// - Parameter isWaiting: whether the commit waits until it is on disk; where it does not, a server that breaks down
  ///   may lose it, but none that came before it without losing all that came after.
  func transaction(isWaiting: Bool = true, _ body: () throws -> Void) throws {
    do {
      let commit = isWaiting ? "" : "SET LOCAL synchronous_commit = off; "
      try connection.execute(
        "\(opening); \(commit)SELECT pg_advisory_xact_lock(\(places.lockKey))")
      try body()
      try connection.execute("COMMIT")
    } catch {
      abandon()
      throw error
    }
  }

  func abandon() {
    connection.rollback()
    forget()
  }

  func forget() {
    layout = nil
    writers = [:]
  }

  /// The canonical bytes of the checkpoint that the server holds; nil where there is none.
  func checkpoint() throws -> [UInt8]? {
    try catalogue.exists() ? try catalogue.checkpoint().bytes : nil
  }

  /// The plan of a schema: made once, because batches come with the same schema.
  func plan(of schema: Schema) throws(AdapterError) -> RelationalPlan {
    if let plan, plan.schema == schema { return plan }
    let made = try RelationalPlan(schema: schema, dialect: dialect)
    try checkLimits(made)
    plan = made
    writers = [:]
    layout?.isChecked = false
    return made
  }

  /// What the tables are made for: a mirror with other options makes a new generation.
  var options: String {
    var options: [String] = []
    if configuration.hasProvenance { options.append("provenance") }
    if configuration.keepsHistory { options.append("history") }
    return options.joined(separator: " ")
  }

  // MARK: Layout

  /// Makes `layout` what the manifest says, within the open transaction.
  func readLayout(checkpoint: [UInt8]?) throws {
    if let layout, layout.checkpoint == checkpoint { return }
    forget()
    let entries = try catalogue.manifest().filter { $0.kind == "table" || $0.kind == "schema" }
    let filling = entries.first { !$0.isPublished }
    layout = Layout(
      checkpoint: checkpoint, publishedGeneration: entries.first(where: \.isPublished)?.generation,
      fillingGeneration: filling?.generation, isKeyed: filling?.state == "keyed")
  }

  /// Forgets the statements for tables that were made, moved or dropped.
  func tablesChanged() throws {
    layout?.isChecked = false
    writers = [:]
    try connection.forgetPrepared()
  }

  func writer(_ collection: Int, _ plan: RelationalPlan) throws -> TableWriter {
    if let writer = writers[collection] { return writer }
    guard plan.tables.indices.contains(collection) else {
      throw AdapterError(
        .misuse, "A change names a collection that its schema does not have.", recovery: .halt)
    }
    let writer = TableWriter(
      plan.table(collection), in: layout?.isFilling == true ? places.filling : places.tables,
      hasProvenance: configuration.hasProvenance)
    writers[collection] = writer
    return writer
  }

  /// Makes sure that the tables which take changes are those of the plan.
  ///
  /// - Throws: `.damaged` (rebuild) where one of them is not as it was made.
  func checkTargets(_ plan: RelationalPlan) throws {
    if layout?.isChecked == true { return }
    guard let layout, let generation = layout.fillingGeneration ?? layout.publishedGeneration else {
      throw AdapterError(
        .misuse, "A change came before any generation was begun.", recovery: .halt)
    }
    try check(plan, generation: generation, in: layout.isFilling ? places.filling : places.tables)
    self.layout?.isChecked = true
  }

  /// Compares the tables of a generation with what the plan makes.
  ///
  /// - Parameter full: with constraints, indices and views, which nothing is written through.
  func check(_ plan: RelationalPlan, generation: Int64, in place: String, full: Bool = false) throws
  {
    try checkDefinitions(plan, generation: generation, in: place)
    if full {
      guard let damage = try damage(plan) else { return }
      throw AdapterError(
        .damaged,
        "Somebody altered the mirror: \(damage). `headwater verify --repair` mends it, or a new generation. Keep changes "
          + "to views and tables of your own.", recovery: .rebuild)
    }
    let shapes = try TableShape.all(in: place, connection, full: false)
    for table in plan.tables {
      let shape = shapes[table.name]
      guard let shape, isWhole(shape, table), layout?.isFilling == true || shape.primaryKey != nil
      else {
        throw AdapterError(
          .damaged,
          "Somebody \(shape == nil ? "dropped" : "altered") the table \(place).\(table.name): a new "
            + "generation will mend it. Keep changes to views and tables of your own.",
          recovery: .rebuild)
      }
    }
  }

  /// Makes sure that the manifest lists the tables, made for the schema as it is.
  func checkDefinitions(_ plan: RelationalPlan, generation: Int64, in place: String) throws {
    let entries = try catalogue.manifest().filter {
      $0.kind == "table" && $0.generation == generation && $0.place == place
    }
    for table in plan.tables {
      let collection = plan.schema.collections[table.collection].name
      guard
        let entry = entries.first(where: { $0.collection.utf8.elementsEqual(collection.utf8) }),
        entry.definition == definition(of: table, plan)
      else {
        throw AdapterError(
          .damaged,
          "The schema \(place) holds no table made for \(collection) as the schema of the database has it: "
            + "a new generation will make it.", recovery: .rebuild)
      }
    }
  }

  /// Whether the columns are those of the table, in any order: one that was mended stands last.
  private func isWhole(_ shape: TableShape, _ table: RelationalTable) -> Bool {
    let wanted =
      table.columns.map { ($0.name, $0.nativeType, !$0.isNullable) }
      + provenanceColumns.map { ($0.0, $0.1, false) }
    guard shape.columns.count == wanted.count else { return false }
    return wanted.allSatisfy { name, type, isNotNull in
      guard let column = shape.column(name) else { return false }
      return column.type == type.split(separator: " COLLATE ")[0]
        && (column.isNotNull == isNotNull || isBeingMended)
    }
  }
}

import HeadwaterModel
import HeadwaterStream

/// Turns the collections of a schema into tables.
struct PlanBuilder {
  let schema: Schema
  let dialect: any Dialect

  /// The deepest nesting of records and of keys within keys.
  private static let maximumDepth = 16

  mutating func tables() throws(AdapterError) -> [RelationalTable] {
    var allocator = NameAllocator(dialect: dialect, isTableNamespace: true)
    let names = allocator.allocate(schema.collections.map(\.name))
    var drafts: [Draft] = []
    for index in schema.collections.indices {
      drafts.append(try draft(of: index, named: names[index]))
    }
    // Tables first: an index gives way to a table, whatever their order.
    let wanted = drafts.map { draft in
      draft.indices.map { index in
        ([draft.name] + index.columns.map { draft.columns[$0].name } + [
          index.isUnique ? "unique" : "index"
        ]).joined(separator: "_")
      }
    }
    let companions = dialect.companionSuffix.map { suffix in
      allocator.allocate(names.map { $0 + suffix })
    }
    var given = allocator.allocate(wanted.flatMap { $0 })[...]
    return drafts.enumerated().map { index, draft in
      draft.table(
        companion: companions?[index], indexNames: draft.indices.map { _ in given.removeFirst() })
    }
  }

  private func draft(of collection: Int, named name: String) throws(AdapterError) -> Draft {
    let type = schema.collections[collection]
    var expansion = Expansion(schema: schema, collection: type)
    for index in type.fields.indices {
      try expansion.expand(
        type.fields[index].type, Expansion.Place(field: index, in: type), depth: 0)
    }
    let names = columnNames(expansion.columns)
    let columns = zip(expansion.columns, names).map { column, name in
      RelationalTable.Column(
        name: name, type: column.type, nativeType: dialect.nativeType(column.type),
        isNullable: column.isNullable, isPresence: column.isPresence, fieldPath: column.path,
        typeSpelling: column.typeSpelling, documentation: column.documentation,
        field: column.field, steps: column.steps)
    }
    var draft = Draft(
      collection: collection, name: name, documentation: type.documentation, columns: columns,
      fieldCount: type.fields.count, foreignKeys: expansion.foreignKeys,
      program: RowProgram(operations: expansion.operations, fields: type.fields.count))
    for (position, field) in type.keyFields.enumerated() {
      for column in columns.indices where columns[column].field == field {
        draft.primaryKey.append(column)
        draft.keyPositions.append(position)
      }
    }
    draft.addIndices(type)
    draft.checks = expansion.checks.map { scope, path, expression in
      let spelling = CheckSpelling(dialect: dialect) { relative in
        columns.first { !$0.isPresence && !$0.isKeyPart && $0.fieldPath == scope + relative }
      }
      return RelationalTable.Check(
        fieldPath: path, text: expression.text, condition: spelling.condition(expression))
    }
    return draft
  }

  /// Fields of the collection are served before what is expanded, so that they keep their names.
  private func columnNames(_ columns: [Expansion.Column]) -> [String] {
    var allocator = NameAllocator(dialect: dialect, isTableNamespace: false)
    let order = columns.indices.sorted {
      (columns[$0].path.count, $0) < (columns[$1].path.count, $1)
    }
    let given = allocator.allocate(order.map { columns[$0].path.joined(separator: "_") })
    var names = [String](repeating: "", count: columns.count)
    for (position, column) in order.enumerated() { names[column] = given[position] }
    return names
  }

  // MARK: - Expansion of fields

  /// Collects the columns of one collection.
  struct Expansion {
    let schema: Schema
    let collection: CollectionType
    var columns: [Column] = []
    var foreignKeys: [RelationalTable.ForeignKey] = []
    var operations: [RowProgram.Operation] = []
    /// Where the names in the check begin, the field that carries it, and the check.
    var checks: [(scope: [String], path: [String], check: Expression)] = []

    init(schema: Schema, collection: CollectionType) {
      self.schema = schema
      self.collection = collection
    }

    struct Column {
      let path: [String]
      let type: ColumnType
      let isNullable: Bool
      let isPresence: Bool
      let typeSpelling: String
      let documentation: String?
      let field: Int
      let steps: [RelationalTable.Column.Step]
    }

    /// Where in the collection an expansion stands.
    struct Place {
      let field: Int
      /// The names from the collection down.
      var path: [String]
      var steps: [RelationalTable.Column.Step] = []
      /// Whether something on the way may be absent.
      var isNullable = false
      var documentation: String?
      var typeSpelling: String
      var checks: [Expression]

      init(field: Int, in collection: CollectionType) {
        self.field = field
        let declaration = collection.fields[field]
        path = [declaration.name]
        documentation = declaration.documentation
        typeSpelling = declaration.type.spelled
        checks = declaration.checks
      }
    }

    /// Appends the columns of a field, and the operations that rebuild it.
    mutating func expand(_ type: FieldType, _ place: Place, depth: Int) throws(AdapterError) {
      guard depth <= PlanBuilder.maximumDepth else {
        throw unsupported(place, "nests records or keys deeper than \(PlanBuilder.maximumDepth)")
      }
      for check in place.checks {
        checks.append((Array(place.path.dropLast()), place.path, check))
      }
      switch type.wrapped {
      case .record(let name):
        guard let record = schema.record(named: name) else {
          throw unsupported(place, "is of an unknown record")
        }
        try expand(record, place, isOptional: type.isOptional, depth: depth)
      case .reference(let name):
        guard let target = schema.collectionIndex(named: name) else {
          throw unsupported(place, "refers to an unknown collection")
        }
        let first = columns.count
        try expandKey(
          of: target, place, isOptional: type.isOptional, depth: depth)
        foreignKeys.append(
          RelationalTable.ForeignKey(columns: Array(first..<columns.count), target: target))
      default:
        guard let columnType = ColumnType(type.wrapped, schema) else {
          throw unsupported(
            place, "is of type \(place.typeSpelling), which relational mirrors do not carry yet")
        }
        operations.append(.column(columns.count, required: !type.isOptional))
        append(columnType, place, isNullable: type.isOptional, isPresence: false)
      }
    }

    private mutating func append(
      _ type: ColumnType, _ place: Place, isNullable: Bool, isPresence: Bool
    ) {
      columns.append(
        Column(
          path: place.path, type: type, isNullable: isNullable || place.isNullable,
          isPresence: isPresence, typeSpelling: place.typeSpelling,
          documentation: place.documentation, field: place.field, steps: place.steps))
    }

    private mutating func expand(
      _ record: RecordType, _ place: Place, isOptional: Bool, depth: Int
    ) throws(AdapterError) {
      let start = operations.count
      if isOptional {
        operations.append(
          .optionalRecord(presence: columns.count, fields: record.fields.count, length: 0))
        append(.bool, place, isNullable: false, isPresence: true)
      } else {
        operations.append(.record(fields: record.fields.count))
      }
      for (index, field) in record.fields.enumerated() {
        var inner = place
        inner.path.append(field.name)
        inner.steps.append(.recordField(index))
        inner.isNullable = place.isNullable || isOptional
        inner.documentation = field.documentation
        inner.typeSpelling = field.type.spelled
        inner.checks = field.checks
        try expand(field.type, inner, depth: depth + 1)
      }
      if case .optionalRecord(let presence, let fields, _) = operations[start] {
        operations[start] = .optionalRecord(
          presence: presence, fields: fields, length: operations.count - start - 1)
      }
    }

    /// The key's columns: named like the field where the key has one field, `field_keyfield` otherwise.
    private mutating func expandKey(
      of target: Int, _ place: Place, isOptional: Bool, depth: Int
    ) throws(AdapterError) {
      guard depth <= PlanBuilder.maximumDepth else {
        throw unsupported(place, "nests keys deeper than \(PlanBuilder.maximumDepth)")
      }
      let collection = schema.collections[target]
      operations.append(.reference(values: collection.keyFields.count, required: !isOptional))
      for (position, index) in collection.keyFields.enumerated() {
        let field = collection.fields[index]
        var inner = place
        inner.steps.append(.keyValue(position))
        inner.isNullable = place.isNullable || isOptional
        if collection.keyFields.count > 1 { inner.path.append(field.name) }
        if case .reference(let name) = field.type.wrapped,
          let next = schema.collectionIndex(named: name)
        {
          try expandKey(of: next, inner, isOptional: isOptional, depth: depth + 1)
        } else if let columnType = ColumnType(field.type.wrapped, schema) {
          operations.append(.column(columns.count, required: false))
          append(columnType, inner, isNullable: false, isPresence: false)
        } else {
          throw unsupported(
            place, "refers to a key of type \(field.type.spelled), which no column carries")
        }
      }
    }

    private func unsupported(_ place: Place, _ what: String) -> AdapterError {
      AdapterError(
        .unsupported,
        "\(collection.name).\(place.path.joined(separator: ".")) \(what): leave the field out of the "
          + "schema, or use an adapter that carries it.", recovery: .halt)
    }
  }

  // MARK: - Tables in the making

  private struct Draft {
    let collection: Int
    let name: String
    let documentation: String?
    let columns: [RelationalTable.Column]
    let fieldCount: Int
    let foreignKeys: [RelationalTable.ForeignKey]
    let program: RowProgram
    var primaryKey: [Int] = []
    var keyPositions: [Int] = []
    var indices: [(columns: [Int], isUnique: Bool)] = []
    var checks: [RelationalTable.Check] = []

    mutating func addIndices(_ type: CollectionType) {
      for (field, declaration) in type.fields.enumerated() where declaration.isUnique {
        add(columns.indices.filter { columns[$0].field == field }, isUnique: true)
      }
      for (field, declaration) in type.fields.enumerated() where declaration.isIndexed {
        add(columns.indices.filter { columns[$0].field == field }, isUnique: false)
      }
      // The longest first, so that a shorter one that begins alike is found to be covered.
      for key in foreignKeys.sorted(by: { $0.columns.count > $1.columns.count }) {
        add(key.columns, isUnique: false)
      }
    }

    private mutating func add(_ columns: [Int], isUnique: Bool) {
      if columns == primaryKey { return }
      let covering = indices.map(\.columns) + [primaryKey]
      if isUnique {
        guard !indices.contains(where: { $0.columns == columns && $0.isUnique }) else { return }
      } else {
        guard !covering.contains(where: { $0.starts(with: columns) }) else { return }
      }
      indices.append((columns, isUnique))
    }

    func table(companion: String?, indexNames: [String]) -> RelationalTable {
      RelationalTable(
        collection: collection, name: name, companion: companion, documentation: documentation,
        columns: columns,
        primaryKey: primaryKey, foreignKeys: foreignKeys,
        indices: zip(indices, indexNames).map {
          RelationalTable.Index(name: $1, columns: $0.columns, isUnique: $0.isUnique)
        },
        checks: checks, fieldCount: fieldCount, program: program, keyPositions: keyPositions)
    }
  }
}

extension RelationalTable.Column {
  /// Whether the column carries a value of a key that is referred to.
  var isKeyPart: Bool {
    steps.contains {
      if case .keyValue = $0 { return true }
      return false
    }
  }
}

extension ColumnType {
  /// The column of a scalar or an enum; nil for all other types.
  init?(_ type: FieldType, _ schema: Schema) {
    switch type {
    case .bool: self = .bool
    case .int: self = .int
    case .float: self = .float
    case .decimal(let precision, let scale): self = .decimal(precision: precision, scale: scale)
    case .text(let limit): self = .text(limit: limit)
    case .bytes(let limit): self = .bytes(limit: limit)
    case .date: self = .date
    case .timestamp: self = .timestamp
    case .uuid: self = .uuid
    case .json: self = .json
    case .principal: self = .principal
    case .enumeration(let name):
      guard let type = schema.enumeration(named: name) else { return nil }
      self = .enumeration(type.cases.map(\.name))
    default: return nil
    }
  }
}

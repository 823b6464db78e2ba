import HeadwaterLog
import HeadwaterModel

extension AuthorityHistoryMaker {
  /// A set of numbers of operations.
  struct Numbers {
    private var words: [UInt64] = []

    func contains(_ number: Int) -> Bool {
      let word = number / 64
      return word < words.count && words[word] >> UInt64(number % 64) & 1 == 1
    }

    mutating func insert(_ number: Int) {
      while words.count <= number / 64 { words.append(0) }
      words[number / 64] |= 1 << UInt64(number % 64)
    }

    mutating func formUnion(_ other: Numbers) {
      while words.count < other.words.count { words.append(0) }
      for (word, bits) in other.words.enumerated() { words[word] |= bits }
    }
  }

  /// The changes of an operation, as far as they go. What would be statically wrong is left out.
  struct Draft {
    let author: Int
    let past: Numbers
    let schema: Schema
    private(set) var changes: [RowChange] = []
    private var unique: Set<Value> = []

    init(author: Int, past: Numbers, schema: Schema) {
      self.author = author
      self.past = past
      self.schema = schema
    }

    /// References to the rows that it creates.
    func created(_ collection: String) -> [Value] {
      let number = schema.collectionIndex(named: collection)
      return changes.enumerated().compactMap { index, change in
        guard change.kind == .create, change.collection == number else { return nil }
        return change.key.map { .reference($0) } ?? .created(index: index)
      }
    }

    /// Whether nothing in it has that unique value yet; then it is taken.
    mutating func isFree(_ value: Value) -> Bool { unique.insert(value).inserted }

    mutating func create(_ collection: String, _ key: Value, _ fields: [String: Value?]) {
      create(collection, [key], fields)
    }

    mutating func create(_ collection: String, _ key: [Value]?, _ fields: [String: Value?]) {
      let key = key.map { Key($0) }
      let number = schema.collectionIndex(named: collection)!
      let isThere = changes.contains {
        $0.kind == .create && $0.collection == number && $0.key == key
      }
      if key != nil, isThere { return }
      if collection == "Slot", !isFree((fields["code"] ?? nil) ?? .int(0)) { return }
      add(.create, number, key, fields)
    }

    mutating func update(_ collection: String, _ key: Key?, _ fields: [String: Value?]) {
      guard let key else { return }
      add(.update, schema.collectionIndex(named: collection)!, key, fields)
    }

    mutating func delete(_ collection: String, _ key: Key) {
      add(.delete, schema.collectionIndex(named: collection)!, key, [:])
    }

    private mutating func add(
      _ kind: RowChange.Kind, _ collection: Int, _ key: Key?, _ fields: [String: Value?]
    ) {
      let type = schema.collections[collection]
      changes.append(
        RowChange(
          kind: kind, collection: collection, key: key,
          assignments: fields.map { name, value in
            Assignment(
              slot: type.layout.fieldSlots[type.fieldIndex(named: name)!].lowerBound,
              change: .set(value))
          }.sorted { $0.slot < $1.slot }))
    }
  }
}

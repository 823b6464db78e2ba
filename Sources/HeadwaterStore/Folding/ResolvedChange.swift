import HeadwaterLog
import HeadwaterModel

/// A change with its row's storage key, and every reference to a row of the same operation made a key.
struct ResolvedChange {
  let kind: RowChange.Kind
  let collection: Int
  let key: Key
  let storageKey: StorageKey
  let assignments: [Assignment]
}

enum ChangeResolver {
  /// The key of the row that change `index` of operation `id` creates: the first 16 bytes of the hash of both.
  static func generatedKey(_ id: Digest, _ index: Int, suite: any HeadwaterModel.Hasher256) -> Key {
    var bytes = id.bytes
    withUnsafeBytes(of: UInt32(index).bigEndian) { bytes.append(contentsOf: $0) }
    return Key([.uuid(UUIDBytes(bytes: suite.hash(bytes).bytes[..<16])!)])
  }

  /// The changes of an operation that passed the static checks.
  static func resolve(
    _ operation: Operation, id: Digest, layout: SchemaPlan, suite: any HeadwaterModel.Hasher256,
    storageKeys: [StorageKey?]? = nil
  ) -> [ResolvedChange] {
    func isGenerated(_ index: Int) -> Bool {
      // Not yet checked: an unknown collection is refused afterwards.
      layout.collections.indices.contains(index)
        && layout.collections[index].collection.hasGeneratedKey
    }
    var result: [ResolvedChange] = []
    result.reserveCapacity(operation.changes.count)
    for (index, change) in operation.changes.enumerated() {
      let key =
        change.key.map { resolve($0, id, isGenerated(change.collection), suite) }
        ?? generatedKey(id, index, suite: suite)
      var assignments = change.assignments
      for position in assignments.indices {
        if case .set(.created(let target)?) = assignments[position].change {
          assignments[position] = Assignment(
            slot: assignments[position].slot,
            change: .set(.reference(generatedKey(id, target, suite: suite))))
        }
      }
      result.append(
        ResolvedChange(
          kind: change.kind, collection: change.collection, key: key,
          storageKey: storageKeys?[index] ?? StorageKey(change.collection, key),
          assignments: assignments))
    }
    return result
  }

  private static func resolve(
    _ key: Key, _ id: Digest, _ isGenerated: Bool, _ suite: any HeadwaterModel.Hasher256
  ) -> Key {
    guard key.values.contains(where: { if case .created = $0 { true } else { false } }) else {
      return key
    }
    return Key(
      key.values.map { value in
        guard case .created(let index) = value else { return value }
        let generated = generatedKey(id, index, suite: suite)
        // The key of the new row itself in an update or delete; a reference to it where a key field refers.
        return isGenerated ? generated.values[0] : .reference(generated)
      })
  }
}

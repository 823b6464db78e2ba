import HeadwaterModel

/// Where an operation stands in canonical order: ascending (height, id).
public struct OperationKey: Sendable, Hashable, Comparable {
  public let height: Int64
  public let id: Digest

  public init(height: Int64, id: Digest) {
    self.height = height
    self.id = id
  }

  public static func < (a: OperationKey, b: OperationKey) -> Bool {
    a.height != b.height ? a.height < b.height : a.id < b.id
  }
}

/// A place between operations in canonical order: before the first key that is not less than it.
///
/// A bound is a height and the beginning of an id; what is not given of the id counts as zeros. So `(h, "")`
/// stands before all operations of height h.
public struct Bound: Sendable, Hashable, Comparable {
  /// `Int64.max` is the end: no operation has that height.
  public let height: Int64
  /// The id, zeros where it was not given.
  public let id: Digest

  public static let start = Bound(height: 0, id: .zero)
  public static let end = Bound(height: .max, id: .zero)

  public init(height: Int64, id: Digest = .zero) {
    self.height = height
    self.id = id
  }

  /// The shortest bound between two neighbours: not before `key`'s predecessor, and before `key` or at it.
  public init(between predecessor: OperationKey?, and key: OperationKey) {
    guard let predecessor, predecessor.height == key.height else {
      self.init(height: key.height)
      return
    }
    let (low, high) = (predecessor.id.bytes, key.id.bytes)
    let common = zip(low, high).prefix { $0 == $1 }.count
    let prefix = high.prefix(common + 1)
    self.init(
      height: key.height,
      id: Digest(bytes: prefix + Array(repeating: 0, count: Digest.byteCount - prefix.count))
        ?? key.id)
  }

  /// The bytes of the id up to the last that is not zero.
  public var prefix: [UInt8] {
    var bytes = id.bytes
    while bytes.last == 0 { bytes.removeLast() }
    return bytes
  }

  /// The bound as if it were an operation.
  public var key: OperationKey { OperationKey(height: height, id: id) }

  public static func < (a: Bound, b: Bound) -> Bool { a.key < b.key }
}

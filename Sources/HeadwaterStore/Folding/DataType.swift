import HeadwaterLog
import HeadwaterModel

/// What is known of one slot of one row: everything that its data type has folded.
public struct FieldState: Sendable {
  /// The value that readers see; nil if absent.
  public var value: Value?
  /// The operation that decided the value, as a local number; 0 where none did.
  public var stamp: Int64

  public init(value: Value?, stamp: Int64) {
    self.value = value
    self.stamp = stamp
  }
}

/// Folds the changes of one slot.
///
/// The store calls `apply` for each valid change once, in any order that extends the causal order: the
/// result must depend on the set of changes alone. Pure: no clock, no I/O, no random number.
public protocol DataType: Sendable {
  /// The name in the schema language, or the one under which an operator registered the type.
  var name: String { get }

  /// Why the change is statically wrong, without the data; nil if it is not.
  func problem(with change: FieldChange, for field: Field, in schema: Schema) -> String?

  /// Folds a change made by the operation `stamp`.
  ///
  /// - Parameter isLater: whether the operation with the first number is canonically later than that with the second.
  func apply(
    _ change: FieldChange, stamp: Int64, to state: inout FieldState,
    isLater: (Int64, Int64) throws -> Bool) rethrows
}

/// A *register*: the last writer in canonical order wins. Scalars, enums, JSON values, references, and the leaves of records.
public struct RegisterType: DataType {
  public let name = "register"

  public init() {}

  public func problem(with change: FieldChange, for field: Field, in schema: Schema) -> String? {
    guard case .set(let value) = change else { return "a register takes a value only" }
    return schema.problem(with: value, for: field)
  }

  @inlinable
  public func apply(
    _ change: FieldChange, stamp: Int64, to state: inout FieldState,
    isLater: (Int64, Int64) throws -> Bool
  ) rethrows {
    guard case .set(let value) = change else { return }
    // Within one operation changes are ordered, so a change of the same operation is later.
    guard state.stamp != 0, state.stamp != stamp else {
      state = FieldState(value: value, stamp: stamp)
      return
    }
    if try isLater(stamp, state.stamp) { state = FieldState(value: value, stamp: stamp) }
  }
}

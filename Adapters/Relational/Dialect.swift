import HeadwaterModel

/// The few questions on which relational engines differ.
///
/// A value without state. Everything else about tables is decided once, in `RelationalPlan`.
public protocol Dialect: Sendable {
  /// The identifier in quotes, fit for any statement.
  func quote(_ identifier: String) -> String
  /// The most bytes of UTF-8 that an identifier may have; nil where there is no limit.
  var maximumNameBytes: Int? { get }
  /// What two identifiers have in common when the engine takes them for one.
  func fold(_ identifier: String) -> String
  /// The spelling that is tried for a name before any other.
  func preferred(_ identifier: String) -> String
  /// Whether the engine keeps the name of a table or an index for itself. (`headwater_` is avoided anyway.)
  func isReserved(_ identifier: String) -> Bool
  /// Whether the engine, or the mirror in it, keeps the name of a column for itself.
  func isReservedColumn(_ identifier: String) -> Bool
  /// What is appended to a table's name to name a table that the mirror keeps beside it; nil where it keeps none.
  var companionSuffix: String? { get }
  /// What follows the closing parenthesis of `CREATE TABLE`; empty or with a leading space.
  var tableSuffix: String { get }
  /// The type of a column.
  func nativeType(_ type: ColumnType) -> String
  /// A condition that holds what the native type does not; nil where the type says it all.
  ///
  /// - Parameter column: the column's name, quoted.
  func typeCheck(_ type: ColumnType, column: String) -> String?
  /// A literal that compares exactly with columns of a suitable type; nil where there is none.
  func literal(_ value: Value) -> String?
  /// Whether `=`, `<` and so on of two such operands give exactly what the schema language means.
  func compares(_ left: CheckOperand, _ right: CheckOperand) -> Bool
  /// Whether arithmetic of two such operands is exact, whatever the values.
  func calculates(_ operation: Expression.Operator, _ left: CheckOperand, _ right: CheckOperand)
    -> Bool
  /// The number of Unicode scalars or of bytes of a column; nil where the engine cannot say.
  func length(_ type: ColumnType, of expression: String) -> String?
}

extension Dialect {
  /// The name as it is.
  public func preferred(_ identifier: String) -> String { identifier }
  /// None.
  public func isReservedColumn(_ identifier: String) -> Bool { false }
  /// None.
  public var companionSuffix: String? { nil }
}

/// What stands on one side of an operator in a check.
public enum CheckOperand: Sendable, Hashable {
  case column(ColumnType)
  case literal(Value)
  /// The result of `length` or of arithmetic on integers.
  case integer
  /// The result of arithmetic with decimals.
  case decimal
  /// The result of a comparison.
  case truth
}

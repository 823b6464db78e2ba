/// The example of the documentation.
let shopText = """
  schema Shop

  enum Role { owner, editor, viewer }

  /// People, and what they may do. Rules look here, so the collection is strict by default.
  collection Member {
    principal: Principal  @key
    role: Role            @readonly
    name: Text(80)

    allow create, delete  if exists Member(principal: $author, role: owner)
    allow update          if row.principal == $author
  }

  /// Something we sell.
  collection Product {
    sku: Text(32)         @key
    name: Text(200)
    price: Decimal(12, 2) @check(price >= 0)
    list: Decimal(12, 2)? @check(list >= price)
    tags: Set<Text(40)>
    stock: Counter
    notes: SharedText
    photo: Bytes(65536)?
    spec: JSON?
    supplier: Supplier?   @onDelete(null)

    allow create, update  if exists Member(principal: $author, role: owner or editor)
    allow delete          if exists Member(principal: $author, role: owner)
  }

  collection Supplier {
    name: Text(120)
    vat: Text(20)         @readonly @unique
    allow create, update, delete  if exists Member(principal: $author)
  }

  record Line {
    product: Product      @onDelete(void)
    quantity: Int         @check(quantity > 0)
    price: Decimal(12, 2)
  }

  collection Order {
    placedBy: Member      @readonly
    placed: Timestamp     @readonly
    lines: List<Line>
    labels: Map<Text, Text>

    allow create          if new.placedBy == $author
    allow update          if row.placedBy == $author or exists Member(principal: $author, role: owner)
  }

  allow upgrade if exists Member(principal: $author, role: owner)
  """

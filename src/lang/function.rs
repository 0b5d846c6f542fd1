//! The built-in functions and aggregates: one table from which the checker, completion, `show functions` and the reference take
//! names, signatures and examples.

/// A built-in function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is documented in FUNCTIONS")]
pub enum Builtin {
    Abs,
    Bits,
    Bytes,
    Fls,
    Format,
    Hash,
    Hex,
    Ip,
    Join,
    Len,
    Lower,
    Mac,
    Ntohl,
    Ntohs,
    OffsetOfSymbol,
    Phys,
    Popcount,
    Reason,
    Replace,
    SinceBoot,
    Str,
    Substr,
    Sym,
    Symbol,
    Typeof,
    Upper,
    User,
    Virt,
    Words,
    PerCpu,
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// Anything.
    Any,
    /// A number.
    Number,
    /// A pointer or an address.
    Address,
    /// Text, or an array of characters.
    Text,
    /// Text or bytes.
    Bytes,
    /// An address of a network: a number in network byte order, bytes, or an array or struct of them.
    Octets,
    /// A list.
    List,
    /// A task, or the pointer to its page table.
    PageTable,
    /// A per-CPU symbol or a pointer to per-CPU memory.
    Symbol,
}

/// What a function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultKind {
    /// A number.
    Integer,
    /// An address.
    Address,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// A duration.
    Duration,
    /// The same as its first argument: for `percpu`, the variable itself.
    Same,
}

/// A built-in function's entry.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which.
    pub function: Builtin,
    /// What it is called.
    pub name: &'static str,
    /// What it takes; those from `required` on may be left out.
    pub parameters: &'static [(&'static str, Parameter)],
    /// How many must be given.
    pub required: usize,
    /// Whether the last parameter may be repeated.
    pub repeats: bool,
    /// What it gives.
    pub result: ResultKind,
    /// What it is for.
    pub doc: &'static str,
    /// A call of it.
    pub example: &'static str,
}

impl Entry {
    /// Its name with what it takes, what may be left out in brackets.
    pub fn signature(&self) -> String {
        let mut parameters: Vec<String> = self
            .parameters
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        for optional in parameters.iter_mut().skip(self.required) {
            *optional = format!("[{optional}]");
        }
        if self.repeats {
            parameters.push("…".to_owned());
        }
        format!("{}({})", self.name, parameters.join(", "))
    }
}

macro_rules! functions {
    ($($function:ident $name:literal ($($parameter:literal: $kind:ident),*) $required:literal $repeats:literal -> $result:ident $doc:literal $example:literal;)*) => {
        /// Every built-in function, by name.
        pub static FUNCTIONS: &[Entry] = &[$(Entry {
            function: Builtin::$function,
            name: $name,
            parameters: &[$(($parameter, Parameter::$kind)),*],
            required: $required,
            repeats: $repeats,
            result: ResultKind::$result,
            doc: $doc,
            example: $example,
        }),*];
    };
}

functions! {
    Abs "abs" ("x": Number) 1 false -> Integer "The number without its sign." "abs(-5)";
    Bits "bits" ("x": Number, "high": Number, "low": Number) 3 false -> Integer "Bits `high` to `low` of a number, both included, moved down." "bits(0xabcd, 15, 8)";
    Bytes "bytes" ("address": Address, "length": Number) 2 false -> Bytes "So many bytes of kernel memory." "bytes(&init_task.comm, 16)";
    Fls "fls" ("x": Number) 1 false -> Integer "The number of the highest bit that is set, counted from 1; 0 for 0." "fls(0x80)";
    Format "format" ("template": Text, "value": Any) 1 true -> Text "Text with `%d`, `%x`, `%o`, `%c` and `%s` replaced by the values, as in C's printf; width and leading zeros are understood." "format('%02x:%02x', 8, 1)";
    Hash "hash" ("address": Address, "length": Number) 2 false -> Text "SHA-256 of so many bytes of kernel memory (1 MiB at most), in hexadecimal." "hash(&init_task.comm, 16)";
    Hex "hex" ("x": Number) 1 false -> Text "The number in hexadecimal with `0x`." "hex(255)";
    Ip "ip" ("address": Octets) 1 false -> Text "An IPv4 or IPv6 address as text: of a number or 4 bytes in network byte order, or of 16 bytes (a `struct in6_addr`), as inet_ntop writes it." "ip(0x0100007f)";
    Join "join" ("values": List, "separator": Text) 1 false -> Text "A list's values as one text." "join((walk modules select name), ',')";
    Len "len" ("x": Any) 1 false -> Integer "Bytes of a text, entries of a list or array." "len('abc')";
    Lower "lower" ("text": Text) 1 false -> Text "ASCII letters in lower case." "lower('ABC')";
    Mac "mac" ("address": Octets) 1 false -> Text "A hardware address as text: its bytes in hexadecimal with colons between." "mac(h'02 00 5e 10 00 01')";
    Ntohl "ntohl" ("x": Number) 1 false -> Integer "A 32-bit number from network byte order." "ntohl(0x0100007f)";
    Ntohs "ntohs" ("x": Number) 1 false -> Integer "A 16-bit number from network byte order." "ntohs(0x5000)";
    OffsetOfSymbol "offset_of_symbol" ("address": Address) 1 false -> Integer "Bytes from the symbol at or below an address to it; null where `sym` knows none." "offset_of_symbol(&init_task.comm)";
    PerCpu "percpu" ("variable": Symbol, "cpu": Number) 2 false -> Same "A CPU's copy of a per-CPU variable." "percpu(@runqueues, 0).nr_running";
    Phys "phys" ("address": Address) 1 false -> Address "The physical address of a kernel virtual address." "phys(&init_task)";
    Popcount "popcount" ("x": Number) 1 false -> Integer "How many bits are set." "popcount(0xff)";
    Reason "reason" ("x": Any) 1 false -> Text "Why a value is null; null if it is not." "reason(*(int *)0)";
    Replace "replace" ("text": Bytes, "old": Bytes, "new": Bytes) 3 false -> Text "A text with everything in it that is `old` made `new`." "replace('a-b-c', '-', '/')";
    SinceBoot "since_boot" ("nanoseconds": Number) 1 false -> Duration "A time that the kernel keeps in nanoseconds since boot, as a duration." "since_boot(init_task.start_boottime)";
    Str "str" ("pointer": Address, "longest": Number) 1 false -> Text "The text at an address, up to a NUL or `longest` bytes (4096 where not said)." "str(&init_task.comm)";
    Substr "substr" ("text": Text, "start": Number, "length": Number) 2 false -> Text "`length` bytes of a text from `start` (counted from 0) on." "substr('swapper/0', 0, 7)";
    Sym "sym" ("address": Address) 1 false -> Text "The symbol at or below an address, with the distance." "sym(&init_task)";
    Symbol "symbol" ("name": Text) 1 false -> Address "The address of the kernel symbol of that name." "symbol('init_task')";
    Typeof "typeof" ("x": Any) 1 false -> Text "The type of an expression; nothing is read." "typeof(init_task.mm)";
    Upper "upper" ("text": Text) 1 false -> Text "ASCII letters in upper case." "upper('abc')";
    User "user" ("whose": PageTable, "address": Address, "length": Number) 3 false -> Bytes "Bytes of a process's memory; whose, a task or the pointer to its page table (`mm.pgd`) says." "user(self, mm.arg_start, 64)";
    Words "words" ("bytes": Bytes) 1 false -> Text "NUL-separated words as one text with spaces between." "words(h'61 00 62 00')";
    Virt "virt" ("physical": Number) 1 false -> Address "The direct map's virtual address of a physical address." "virt(0x1000)";
}

/// The entry of this name.
pub fn find(name: &str) -> Option<&'static Entry> {
    FUNCTIONS.iter().find(|entry| entry.name == name)
}

/// A function of a whole group of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// How many rows, or how many values that are not null.
    Count,
    /// The sum of the values that are not null.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The mean.
    Average,
    /// All values as a list.
    Collect,
    /// The first row's value.
    First,
    /// The last row's value.
    Last,
}

/// Aggregates by name, with what each is for.
pub static AGGREGATES: &[(&str, Aggregate, &str)] = &[
    (
        "avg",
        Aggregate::Average,
        "The mean of the values that are not null.",
    ),
    ("collect", Aggregate::Collect, "All values as a list."),
    (
        "count",
        Aggregate::Count,
        "How many rows (`count(*)`), or how many values that are not null.",
    ),
    ("first", Aggregate::First, "The first row's value."),
    ("last", Aggregate::Last, "The last row's value."),
    ("max", Aggregate::Max, "The largest value."),
    ("min", Aggregate::Min, "The smallest value."),
    (
        "sum",
        Aggregate::Sum,
        "The sum of the values that are not null.",
    ),
];

/// The aggregate of this name.
pub fn find_aggregate(name: &str) -> Option<Aggregate> {
    AGGREGATES
        .iter()
        .find(|(entry, ..)| *entry == name)
        .map(|(_, aggregate, _)| *aggregate)
}

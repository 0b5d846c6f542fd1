//! Grammar rules in human words: what an error message says was expected.

use super::parse::grammar::Rule;

/// What a rule is called when it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Expected {
    /// This keyword.
    Word(&'static str),
    /// This sign.
    Sign(&'static str),
    /// A thing with a name of its own: "an expression".
    Thing(&'static str),
    /// One of the operators that continue an expression; nobody wants to read them all.
    Operator,
    /// The statement could end here.
    End,
    /// Nothing to tell: a rule that only groups others.
    Nothing,
}

impl Expected {
    /// As it stands in a message.
    pub(super) fn words(self) -> String {
        match self {
            Self::Word(word) | Self::Sign(word) => format!("`{word}`"),
            Self::Thing(thing) => thing.to_string(),
            Self::Operator => "an operator".to_string(),
            Self::End => "the end of the statement".to_string(),
            Self::Nothing => String::new(),
        }
    }
}

/// The human words for a rule. Exhaustive, so that a new rule cannot be forgotten; one flat table.
pub(super) fn expected(rule: Rule) -> Expected {
    use Expected::{End, Nothing, Operator, Sign, Thing, Word};
    match rule {
        Rule::whole_statement | Rule::statement => Thing("a statement"),
        Rule::EOI => End,
        Rule::WHITESPACE | Rule::quote => Nothing,
        Rule::any_name | Rule::free_name | Rule::name_start | Rule::name_character => Nothing,
        Rule::clause_word | Rule::action_word | Rule::escape | Rule::operand_after_cast => Nothing,

        Rule::print => Word("print"),
        Rule::print_format | Rule::format_letters => Thing("a format such as /x"),
        Rule::describe => Word("describe"),
        Rule::subject_type | Rule::subject_name => {
            Thing("the name of a type, walk, function or symbol")
        }
        Rule::show => Word("show"),
        Rule::catalogue_name => Thing("what to show, for example `walks`"),
        Rule::let_value => Word("let"),
        Rule::define_walk | Rule::define_check | Rule::define_function => Word("def"),
        Rule::check => Word("check"),
        Rule::parameters => Thing("parameters in parentheses"),
        Rule::use_file => Word("use"),
        Rule::explain => Word("explain"),
        Rule::assert => Word("assert"),
        Rule::emptiness => Thing("a query"),
        Rule::claim_is => Word("is empty"),
        Rule::set => Word("set"),
        Rule::setting_name => Thing("the name of a setting"),
        Rule::setting_value | Rule::setting_word => Thing("a value"),
        Rule::read => Word("read"),
        Rule::translate => Word("translate"),
        Rule::dump => Word("dump"),
        Rule::process => Thing("`code of TASK` or `maps of TASK`"),
        Rule::stretch => Thing("an address and a length"),
        Rule::disassemble => Word("disassemble"),
        Rule::search => Word("search"),
        Rule::pattern => Thing("what to search for"),
        Rule::wild_bytes => Thing("bytes"),
        Rule::place => Thing("`kernel`, `phys`, a task, or an address and a length"),
        Rule::place_goes_on => Nothing,
        Rule::watch => Word("watch"),
        Rule::until_clause => Word("until"),
        Rule::times_clause => Word("times"),
        Rule::save => Word("save"),

        Rule::query | Rule::query_term | Rule::walk_query => Thing("a query"),
        Rule::subquery => Thing("a query in parentheses"),
        Rule::set_operator => Thing("`union`, `intersect` or `except`"),
        Rule::source => Thing("a walk"),
        Rule::traversal | Rule::walk_name => Thing("the name of a walk"),
        Rule::traversal_argument | Rule::type_argument => Thing("a type or an expression"),
        Rule::of_clause => Word("of"),
        Rule::from_clause => Word("from"),
        Rule::alias => Word("as"),
        Rule::where_clause => Word("where"),
        Rule::select_clause => Word("select"),
        Rule::distinct => Word("distinct"),
        Rule::everything => Sign("*"),
        Rule::column => Thing("a column"),
        Rule::group_clause => Word("group by"),
        Rule::having_clause => Word("having"),
        Rule::order_clause => Word("order by"),
        Rule::order_key => Thing("an expression"),
        Rule::limit_clause => Word("limit"),
        Rule::row_count => Thing("a number of rows"),

        Rule::whole_expression | Rule::expression | Rule::term | Rule::primary | Rule::prefix => {
            Thing("an expression")
        }
        Rule::cast | Rule::prefix_operator | Rule::literal | Rule::symbol | Rule::variable => {
            Thing("an expression")
        }
        Rule::size_of | Rule::offset_of | Rule::container_of | Rule::exists => {
            Thing("an expression")
        }
        Rule::count_rows
        | Rule::call
        | Rule::value_query
        | Rule::value_name
        | Rule::group
        | Rule::function_name => Thing("an expression"),
        Rule::number | Rule::bytes | Rule::word_self | Rule::word_true | Rule::word_false => {
            Thing("an expression")
        }
        Rule::word_sizeof | Rule::word_offsetof | Rule::word_container_of => Thing("an expression"),
        Rule::word_count | Rule::word_exists => Thing("an expression"),
        Rule::text => Thing("a text in quotes"),
        Rule::postfix | Rule::member | Rule::index | Rule::tail | Rule::null_test => Operator,
        Rule::membership | Rule::infix | Rule::conditional | Rule::word_comparison => Operator,
        Rule::operator | Rule::question | Rule::word_is => Operator,

        Rule::any_type | Rule::sure_type | Rule::named_type | Rule::plain_type => Thing("a type"),
        Rule::tagged_type | Rule::c_words | Rule::c_word | Rule::fixed_width => Thing("a type"),
        Rule::type_name => Thing("a type"),
        Rule::star => Sign("*"),
        Rule::dimension => Sign("["),
        Rule::member_path | Rule::member_name => Thing("the name of a member"),
        Rule::symbol_name => Thing("the name of a symbol"),
        Rule::variable_name => Thing("the name of a variable"),
        Rule::new_name => Thing("a name"),
        Rule::tag_name => Thing("the name of a type"),

        Rule::comma => Sign(","),
        Rule::equals => Sign("="),
        Rule::colon => Sign(":"),
        Rule::open => Sign("("),
        Rule::close => Sign(")"),
        Rule::close_index => Sign("]"),

        Rule::word_analyze => Word("analyze"),
        Rule::word_and => Word("and"),
        Rule::word_as => Word("as"),
        Rule::word_asc => Word("asc"),
        Rule::word_assert => Word("assert"),
        Rule::word_between => Word("between"),
        Rule::word_by => Word("by"),
        Rule::word_def => Word("def"),
        Rule::word_desc => Word("desc"),
        Rule::word_describe => Word("describe"),
        Rule::word_distinct => Word("distinct"),
        Rule::word_empty => Word("empty"),
        Rule::word_enum => Word("enum"),
        Rule::word_except => Word("except"),
        Rule::word_explain => Word("explain"),
        Rule::word_from => Word("from"),
        Rule::word_group => Word("group by"),
        Rule::word_has => Word("has"),
        Rule::word_having => Word("having"),
        Rule::word_in => Word("in"),
        Rule::word_intersect => Word("intersect"),
        Rule::word_let => Word("let"),
        Rule::word_like => Word("like"),
        Rule::word_limit => Word("limit"),
        Rule::word_matches => Word("matches"),
        Rule::word_not => Expected::Nothing,
        Rule::word_null => Word("null"),
        Rule::word_of => Word("of"),
        Rule::word_offset => Word("offset"),
        Rule::word_optional => Word("optional"),
        Rule::word_or => Word("or"),
        Rule::word_order => Word("order by"),
        Rule::word_phys => Word("phys"),
        Rule::word_print => Word("print"),
        Rule::word_read => Word("read"),
        Rule::word_select => Word("select"),
        Rule::word_set => Word("set"),
        Rule::word_show => Word("show"),
        Rule::word_struct => Word("struct"),
        Rule::word_translate => Word("translate"),
        Rule::word_check => Word("check"),
        Rule::word_cache => Word("cache"),
        Rule::word_code => Word("code"),
        Rule::word_diff => Word("diff"),
        Rule::word_disassemble => Word("disassemble"),
        Rule::word_dump => Word("dump"),
        Rule::word_force => Word("force"),
        Rule::word_kernel => Word("kernel"),
        Rule::word_maps => Word("maps"),
        Rule::word_save => Word("save"),
        Rule::word_search => Word("search"),
        Rule::word_times => Word("times"),
        Rule::word_to => Word("to"),
        Rule::word_until => Word("until"),
        Rule::word_watch => Word("watch"),
        Rule::word_union => Word("union"),
        Rule::word_use => Word("use"),
        Rule::word_virt => Word("virt"),
        Rule::word_walk => Word("walk"),
        Rule::word_where => Word("where"),
    }
}

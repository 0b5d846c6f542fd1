//! An abbreviation → what to do with its entries: most are about code and need not be read at all.

use gimli::constants as dw;
use gimli::{Abbreviation, AttributeSpecification, DwAt, DwTag};

use super::entry::Kind;

/// What to do with the entries of an abbreviation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Unknown,
    /// Pass over its attributes, look at its children.
    Skip,
    /// Pass over it and all below it.
    SkipTree,
    Keep(Kind),
    /// Keep it if its parent is of a kind that it is part of.
    Part(Kind),
    /// Keep it if it is a variable at an address.
    Variable,
    /// Keep it if its name is wanted.
    Declaration,
}

/// What each tag means; tags that are not here are passed over.
const PLANS: [(DwTag, Plan); 30] = [
    (dw::DW_TAG_base_type, Plan::Keep(Kind::Base)),
    (dw::DW_TAG_pointer_type, Plan::Keep(Kind::Pointer)),
    (dw::DW_TAG_reference_type, Plan::Keep(Kind::Pointer)),
    (dw::DW_TAG_rvalue_reference_type, Plan::Keep(Kind::Pointer)),
    (dw::DW_TAG_const_type, Plan::Keep(Kind::Qualifier)),
    (dw::DW_TAG_volatile_type, Plan::Keep(Kind::Qualifier)),
    (dw::DW_TAG_restrict_type, Plan::Keep(Kind::Qualifier)),
    (dw::DW_TAG_atomic_type, Plan::Keep(Kind::Qualifier)),
    (dw::DW_TAG_immutable_type, Plan::Keep(Kind::Qualifier)),
    (dw::DW_TAG_packed_type, Plan::Keep(Kind::Qualifier)),
    (dw::DW_TAG_typedef, Plan::Keep(Kind::Typedef)),
    (dw::DW_TAG_structure_type, Plan::Keep(Kind::Struct)),
    (dw::DW_TAG_class_type, Plan::Keep(Kind::Struct)),
    (dw::DW_TAG_union_type, Plan::Keep(Kind::Union)),
    (dw::DW_TAG_enumeration_type, Plan::Keep(Kind::Enumeration)),
    (dw::DW_TAG_array_type, Plan::Keep(Kind::Array)),
    (dw::DW_TAG_subroutine_type, Plan::Keep(Kind::Function)),
    (dw::DW_TAG_unspecified_type, Plan::Keep(Kind::Opaque)),
    (dw::DW_TAG_ptr_to_member_type, Plan::Keep(Kind::Opaque)),
    (dw::DW_TAG_interface_type, Plan::Keep(Kind::Opaque)),
    (dw::DW_TAG_string_type, Plan::Keep(Kind::Opaque)),
    (dw::DW_TAG_member, Plan::Part(Kind::Member)),
    (dw::DW_TAG_enumerator, Plan::Part(Kind::Enumerator)),
    (dw::DW_TAG_subrange_type, Plan::Part(Kind::Dimension)),
    (dw::DW_TAG_formal_parameter, Plan::Part(Kind::Parameter)),
    (
        dw::DW_TAG_unspecified_parameters,
        Plan::Part(Kind::MoreParameters),
    ),
    (dw::DW_TAG_variable, Plan::Variable),
    (dw::DW_TAG_inlined_subroutine, Plan::SkipTree),
    (dw::DW_TAG_call_site, Plan::SkipTree),
    (dw::DW_TAG_GNU_call_site, Plan::SkipTree),
];

/// Whether an entry of a kind is part of an entry of another.
pub(super) fn is_part_of(part: Kind, whole: Kind) -> bool {
    match part {
        Kind::Member => matches!(whole, Kind::Struct | Kind::Union),
        Kind::Enumerator => whole == Kind::Enumeration,
        Kind::Dimension => whole == Kind::Array,
        Kind::Parameter | Kind::MoreParameters => whole == Kind::Function,
        _ => true,
    }
}

/// What is done with all entries of an abbreviation.
pub(super) fn plan_of(abbreviation: &Abbreviation) -> Plan {
    let found = PLANS.iter().find(|(tag, _)| *tag == abbreviation.tag());
    let plan = found.map_or(Plan::Skip, |(_, plan)| *plan);
    let has = |name: DwAt| {
        abbreviation
            .attributes()
            .iter()
            .any(|spec| spec.name() == name)
    };
    match plan {
        Plan::Variable if has(dw::DW_AT_location) => {
            let is_expression = |spec: &AttributeSpecification| {
                let lists = [dw::DW_FORM_sec_offset, dw::DW_FORM_loclistx];
                spec.name() == dw::DW_AT_location && !lists.contains(&spec.form())
            };
            match abbreviation.attributes().iter().any(is_expression) {
                true => plan,
                false => Plan::Skip,
            }
        }
        Plan::Variable if has(dw::DW_AT_declaration) => Plan::Declaration,
        Plan::Variable => Plan::Skip,
        Plan::SkipTree if !abbreviation.has_children() || !has(dw::DW_AT_sibling) => Plan::Skip,
        plan => plan,
    }
}

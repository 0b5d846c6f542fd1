//! Frames of a stack: the kernel's tables are found, the stack is walked.

use std::rc::Rc;

use crate::addr::VirtAddr;
use crate::lang::frames::{CheckedFrames, CheckedTable};
use crate::lang::typed::Typed;
use crate::value::{Reason, Value};
use crate::walk::{FrameTable, Frames, FramesLayout, KernelTable, OtherTables, TableFinder};
use crate::wave::Reader;

use super::attempt;
use super::context::{Context, Environment};
use super::source::number;

/// The stack that a checked walk of frames is of; that of a task which left nothing on it is absent.
pub(super) async fn frames(
    context: &Rc<Context>,
    checked: &CheckedFrames,
    environment: &Environment,
    reader: &Reader,
) -> Result<Frames, Reason> {
    let number_of =
        async |typed: &Typed| number(attempt::value(context, typed, environment, reader).await);
    let address_of = async |typed: &Typed| number_of(typed).await.map(VirtAddr::new);
    let saved = address_of(&checked.saved).await?;
    if saved.get() == 0 {
        return Err(Reason::Absent);
    }
    let [code, behind_code] = &checked.code;
    let [other_code, behind_other_code] = &checked.other_code;
    let [initial_code, behind_initial_code] = &checked.initial_code;
    Ok(Frames {
        lowest: address_of(&checked.lowest).await?,
        size: number_of(&checked.size).await?,
        saved,
        unstarted: address_of(&checked.unstarted).await?,
        function: address_of(&checked.function).await?,
        kernel: KernelTable {
            table: table(context, &checked.table, environment, reader).await?,
            code: (address_of(code).await?, address_of(behind_code).await?),
            initial_code: (
                address_of(initial_code).await?,
                address_of(behind_initial_code).await?,
            ),
            blocks: address_of(&checked.blocks).await?,
            block_count: number_of(&checked.block_count).await?,
            block_size: checked.block_size,
        },
        others: OtherTables {
            code: (
                address_of(other_code).await?,
                address_of(behind_other_code).await?,
            ),
            find: others(context, &checked.others),
        },
        layout: Rc::<FramesLayout>::clone(&checked.layout),
    })
}

async fn table(
    context: &Rc<Context>,
    checked: &CheckedTable,
    environment: &Environment,
    reader: &Reader,
) -> Result<FrameTable, Reason> {
    let number_of =
        async |typed: &Typed| number(attempt::value(context, typed, environment, reader).await);
    Ok(FrameTable {
        addresses: VirtAddr::new(number_of(&checked.addresses).await?),
        entries: VirtAddr::new(number_of(&checked.entries).await?),
        count: number_of(&checked.count).await?,
    })
}

/// Who finds the table for an address of others' code.
fn others(context: &Rc<Context>, checked: &Rc<CheckedTable>) -> TableFinder {
    let (context, checked) = (Rc::clone(context), Rc::clone(checked));
    Rc::new(move |reader, address| {
        let (context, checked) = (Rc::clone(&context), Rc::clone(&checked));
        Box::pin(async move {
            let locals = vec![Value::Integer(i128::from(address.get()))];
            let environment = Environment::default().with_locals(locals);
            table(&context, &checked, &environment, &reader).await.ok()
        })
    })
}

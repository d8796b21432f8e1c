use super::*;

const BUDGET: u64 = 100 << 20;

fn budget(max: u64) -> Arc<Budget> {
    Arc::new(Budget::new(max))
}

fn piece(size: usize, byte: u8) -> Bytes {
    vec![byte; size].into()
}

fn bytes(pieces: impl IntoIterator<Item = Bytes>) -> Vec<u8> {
    pieces.into_iter().flatten().collect()
}

fn finish(mut writer: Writer) -> Option<Content> {
    let kept = writer.whole_with(&Bytes::new());
    writer.end(Bytes::new());
    kept
}

async fn read_all(mut reader: Reader) -> Result<Vec<u8>, Broken> {
    let mut content = Vec::new();
    while let Some(piece) = reader.next().await {
        content.extend_from_slice(&piece?);
    }
    Ok(content)
}

#[test]
fn small_pieces_are_put_together_and_large_ones_left() {
    let small: Vec<_> = (0..100).map(|number| piece(100, number)).collect();
    let content = Content::new(small.clone());
    assert_eq!((content.len(), content.pieces().len()), (10_000, 1));
    assert_eq!(bytes(content.pieces().iter().cloned()), bytes(small));
    let large = vec![piece(64 * 1024, 1), piece(64 * 1024, 2)];
    assert_eq!(Content::new(large.clone()).pieces(), large);
    let many: Vec<_> = (0..600).map(|_| piece(1000, 7)).collect();
    let lengths: Vec<_> = Content::new(many).pieces().iter().map(Bytes::len).collect();
    assert_eq!(lengths, [LARGE_PIECE, LARGE_PIECE, 600_000 - 2 * LARGE_PIECE]);
    assert_eq!((Content::default().len(), Content::new(Vec::new()).pieces().len()), (0, 0));
}

#[test]
fn parts_are_cut_across_pieces() {
    let content =
        Content::new(vec![piece(SMALL_PIECE, b'a'), piece(SMALL_PIECE, b'b'), piece(SMALL_PIECE, b'c')]);
    let all = bytes(content.pieces().iter().cloned());
    let end = SMALL_PIECE as u64;
    for range in
        [0..1, 0..3 * end, end - 1..end + 1, end..2 * end, 3 * end - 1..3 * end, 5..5, end * 3..end * 9]
    {
        let expected: Vec<u8> = all
            .iter()
            .copied()
            .enumerate()
            .filter(|(at, _)| range.contains(&(*at as u64)))
            .map(|(_, byte)| byte)
            .collect();
        assert_eq!(bytes(content.part(&range)), expected, "{range:?}");
    }
}

#[tokio::test]
async fn many_read_what_one_brings_from_the_start() {
    let budget = budget(BUDGET);
    let (fill, mut writer) = Fill::new(1 << 20, budget.clone());
    let early: Vec<_> = (0..100).map(|_| tokio::spawn(read_all(fill.reader().unwrap()))).collect();
    writer.push(b"one ").await.unwrap();
    writer.push(b"").await.unwrap();
    let late = tokio::spawn(read_all(fill.reader().unwrap()));
    writer.push(b"two").await.unwrap();
    assert_eq!(budget.used(), 7);
    let kept = finish(writer).unwrap();
    assert_eq!((kept.len(), budget.used()), (7, 0));
    let after_the_end = read_all(fill.reader().unwrap()).await;
    assert_eq!(after_the_end, Ok(b"one two".to_vec()));
    for reader in early.into_iter().chain([late]) {
        assert_eq!(reader.await.unwrap(), Ok(b"one two".to_vec()));
    }
}

#[tokio::test]
async fn content_that_breaks_off_is_never_taken_for_whole() {
    let (fill, mut writer) = Fill::new(1 << 20, budget(BUDGET));
    let mut reader = fill.reader().unwrap();
    writer.push(b"half").await.unwrap();
    assert_eq!(reader.next().await, Some(Ok(Bytes::from_static(b"half"))));
    drop(writer);
    assert_eq!(reader.next().await, Some(Err(Broken)));
    assert_eq!(read_all(fill.reader().unwrap()).await, Err(Broken));
}

#[tokio::test]
async fn nobody_joins_what_is_not_kept() {
    for (limit, max) in [(9, BUDGET), (100, 9)] {
        let budget = budget(max);
        let (fill, mut writer) = Fill::new(limit, budget.clone());
        writer.push(b"123456789").await.unwrap();
        let reader = fill.reader().unwrap();
        writer.push(b"0").await.unwrap();
        assert!(fill.reader().is_none());
        assert_eq!(budget.used(), 0);
        assert_eq!(finish(writer), None);
        assert_eq!(read_all(reader).await, Ok(b"1234567890".to_vec()));
    }
}

#[tokio::test]
async fn who_has_read_the_last_byte_finds_it_kept() {
    for (limit, kept) in [(100, true), (3, false)] {
        let (fill, mut writer) = Fill::new(limit, budget(BUDGET));
        let reader = fill.reader().unwrap();
        writer.push(b"one").await.unwrap();
        let last = Bytes::from_static(b" two");
        let content = writer.whole_with(&last);
        assert_eq!(content.map(|content| content.len()), kept.then_some(7));
        assert_eq!(fill.0.progress.borrow().length, 3);
        writer.end(last);
        assert_eq!(read_all(reader).await, Ok(b"one two".to_vec()));
    }
}

#[tokio::test]
async fn what_is_passed_on_is_deserted_once_its_reader_leaves() {
    let (reader, mut writer) = Fill::passing(budget(BUDGET));
    writer.push(b"1").await.unwrap();
    drop(reader);
    writer.deserted().await;
    let (fill, mut writer) = Fill::new(9, budget(BUDGET));
    drop(fill.reader());
    tokio::select! {
        biased;
        () = writer.deserted() => panic!("it is kept"),
        () = tokio::task::yield_now() => {}
    }
}

#[tokio::test]
async fn writing_for_nobody_ends() {
    let (fill, mut writer) = Fill::new(3, budget(BUDGET));
    writer.push(b"123").await.unwrap();
    drop(fill.reader().unwrap());
    assert_eq!(writer.push(b"4").await, Err(Broken));
}

#[tokio::test]
async fn the_writer_waits_for_the_fastest_and_cuts_off_the_slowest() {
    let (fill, mut writer) = Fill::new(0, budget(BUDGET));
    let (mut fast, mut slow) = (fill.reader().unwrap(), fill.reader().unwrap());
    let size = 64 * 1024;
    let count = 200;
    let writing = tokio::spawn(async move {
        for number in 0..count {
            writer.push(&vec![number; size]).await.unwrap();
        }
        finish(writer)
    });
    tokio::task::yield_now().await;
    let ahead = fill.0.progress.borrow().length;
    assert!(ahead >= size as u64 && ahead <= fill::LEAD + size as u64, "{ahead}");
    for number in 0..count {
        assert_eq!(fast.next().await.unwrap().unwrap()[0], number);
    }
    assert_eq!(fast.next().await, None);
    assert_eq!(writing.await.unwrap(), None);
    assert_eq!(slow.next().await, Some(Err(Broken)));
    let kept: usize = fill.0.progress.borrow().pieces.iter().map(Bytes::len).sum();
    assert!(kept as u64 <= fill::TAIL + size as u64, "{kept}");
}

#[tokio::test]
async fn a_fast_reader_that_leaves_holds_up_nobody() {
    let (fill, mut writer) = Fill::new(0, budget(BUDGET));
    let (fast, slow) = (fill.reader().unwrap(), fill.reader().unwrap());
    let size = usize::try_from(fill::LEAD).unwrap();
    let reading = tokio::spawn(read_all(slow));
    let fast = tokio::spawn(async move {
        let mut fast = fast;
        fast.next().await
    });
    for _ in 0..20 {
        writer.push(&vec![1; size]).await.unwrap();
    }
    assert_eq!(finish(writer), None);
    assert_eq!(fast.await.unwrap().unwrap().unwrap().len(), size);
    assert_eq!(reading.await.unwrap().unwrap().len(), 20 * size);
}

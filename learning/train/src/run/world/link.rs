//! A connection between the first process of a run and another one.
//!
//! A message is its kind, its length in eight bytes, the least first, and what it says. All that is said is in turn, so
//! nothing else is needed; a far end that is gone, or a machine that is, ends the connection.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};

/// How long a far end that says nothing at all is believed to be there.
const SILENCE: Duration = Duration::from_secs(60);
/// Between two looks whether somebody came, or is there.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest message that is not a list of numbers, whose length is known before.
const LONGEST: u64 = 64 << 20;

/// What a message is.
#[derive(Clone, Copy)]
enum Kind {
    Text = b't' as isize,
    Numbers = b'n' as isize,
}

/// A connection.
pub(super) struct Link {
    stream: BufReader<TcpStream>,
    bytes: Vec<u8>,
}

impl Link {
    fn new(stream: TcpStream) -> io::Result<Self> {
        // Small messages are waited for.
        stream.set_nodelay(true)?;
        let alive = TcpKeepalive::new().with_time(SILENCE / 2).with_interval(SILENCE / 6);
        SockRef::from(&stream).set_tcp_keepalive(&alive)?;
        Ok(Self { stream: BufReader::with_capacity(1 << 18, stream), bytes: Vec::new() })
    }

    fn write(&mut self, kind: Kind, message: &[u8]) -> io::Result<()> {
        let mut head = [kind as u8; 9];
        head[1..].copy_from_slice(&(message.len() as u64).to_le_bytes());
        let mut stream = self.stream.get_ref();
        stream.write_all(&head)?;
        stream.write_all(message)
    }

    /// Kind and length of the next message.
    fn head(&mut self) -> io::Result<(u8, u64)> {
        let (mut kind, mut length) = ([0], [0; 8]);
        self.stream.read_exact(&mut kind)?;
        self.stream.read_exact(&mut length)?;
        Ok((kind[0], u64::from_le_bytes(length)))
    }

    fn text(&mut self, (kind, length): (u8, u64)) -> io::Result<Vec<u8>> {
        if kind != Kind::Text as u8 || length > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what it sends is not what is expected"));
        }
        let mut message = vec![0; length as usize];
        self.stream.read_exact(&mut message)?;
        Ok(message)
    }

    /// Sends a message.
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.write(Kind::Text, message)
    }

    /// Waits for a message.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let head = self.head()?;
        self.text(head)
    }

    /// Sends numbers.
    pub fn send_numbers(&mut self, values: &[f32]) -> io::Result<()> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let sent = self.write(Kind::Numbers, &bytes);
        self.bytes = bytes;
        sent
    }

    /// Waits for as many numbers as there are `values`, and gives each to `take` with its place; or for a message that
    /// comes in their stead.
    pub fn receive_numbers(
        &mut self,
        values: &mut [f32],
        take: impl Fn(&mut f32, f32),
    ) -> io::Result<Option<Vec<u8>>> {
        let head = self.head()?;
        if head != (Kind::Numbers as u8, 4 * values.len() as u64) {
            return self.text(head).map(Some);
        }
        self.bytes.resize(4 * values.len(), 0);
        self.stream.read_exact(&mut self.bytes)?;
        for (value, bytes) in values.iter_mut().zip(self.bytes.as_chunks::<4>().0) {
            take(value, f32::from_le_bytes(*bytes));
        }
        Ok(None)
    }

    /// What a newcomer says first is waited for no longer than this.
    pub fn patience(&self, patience: Option<Duration>) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(patience)
    }
}

/// Listens for the others; at the loopback address alone where they are all `near`.
pub(super) fn listen(port: u16, near: bool) -> io::Result<TcpListener> {
    let listener = if near {
        TcpListener::bind(("127.0.0.1", port))?
    } else {
        // Of both families where the machine has them.
        TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)))?
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Waits until `end` for somebody to connect; nothing when nobody does. `wanted` can give up.
pub(super) fn accept<E: From<io::Error>>(
    listener: &TcpListener,
    end: Instant,
    wanted: impl Fn() -> Result<(), E>,
) -> Result<Option<(Link, SocketAddr)>, E> {
    loop {
        match listener.accept() {
            Ok((stream, from)) => {
                stream.set_nonblocking(false)?;
                return Ok(Some((Link::new(stream)?, from)));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Whoever came is gone again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error.into()),
        }
        wanted()?;
        if Instant::now() >= end {
            return Ok(None);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Connects to whoever listens there, who may begin later; gives up at `end` with the last reason.
pub(super) fn connect<E: From<io::Error>>(
    host: &str,
    port: u16,
    end: Instant,
    wanted: impl Fn() -> Result<(), E>,
) -> Result<Link, E> {
    loop {
        let attempt = || -> io::Result<Link> {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for address in (host, port).to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, SILENCE) {
                    Ok(stream) => return Link::new(stream),
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        match attempt() {
            Ok(link) => return Ok(link),
            Err(error) if Instant::now() >= end => return Err(error.into()),
            Err(_) => {}
        }
        wanted()?;
        std::thread::sleep(PAUSE);
    }
}

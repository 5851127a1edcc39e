import com.eatthepath.pushy.apns.ApnsClient;
import com.eatthepath.pushy.apns.ApnsClientBuilder;
import com.eatthepath.pushy.apns.DeliveryPriority;
import com.eatthepath.pushy.apns.PushType;
import com.eatthepath.pushy.apns.auth.ApnsSigningKey;
import com.eatthepath.pushy.apns.util.SimpleApnsPushNotification;
import io.netty.channel.nio.NioEventLoopGroup;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;

/**
 * Drives pushy: REQUESTS pushes over one connection, at most IN_FLIGHT unanswered.
 *
 * <p>Usage: java Drive PORT CA_FILE KEY_FILE BODY_FILE REQUESTS IN_FLIGHT RATE. RATE 0: as fast as answers come. Otherwise so
 * many a second by the clock, and for each the microseconds from when it was due to its answer are printed, one a line.
 * Fails if a push is not accepted.
 */
public final class Drive {
  private static final int PATHS = 25_000;

  public static void main(String[] args) throws Exception {
    int port = Integer.parseInt(args[0]);
    String body = Files.readString(Path.of(args[3]));
    int requests = Integer.parseInt(args[4]);
    int inFlight = Integer.parseInt(args[5]);
    double rate = Double.parseDouble(args[6]);
    ApnsClient client =
        new ApnsClientBuilder()
            .setApnsServer("localhost", port)
            .setTrustedServerCertificateChain(new File(args[1]))
            .setSigningKey(ApnsSigningKey.loadFromPkcs8File(new File(args[2]), "TEAM123456", "ABC123DEFG"))
            .setConcurrentConnections(1)
            .setEventLoopGroup(new NioEventLoopGroup(1))
            .build();
    Semaphore room = new Semaphore(inFlight);
    AtomicReference<Object> refused = new AtomicReference<>();
    long[] took = new long[requests];
    Instant expiry = Instant.ofEpochSecond(1795000000L);
    long started = System.nanoTime();
    for (int number = 0; number < requests; number++) {
      long due = rate > 0 ? started + (long) (number / rate * 1e9) : System.nanoTime();
      for (long early = due - System.nanoTime(); early > 0; early = due - System.nanoTime()) {
        LockSupport.parkNanos(early);
      }
      room.acquire();
      int index = number;
      client
          .sendNotification(
              new SimpleApnsPushNotification(
                  String.format("%064x", number % PATHS),
                  "com.example.chat",
                  body,
                  expiry,
                  DeliveryPriority.IMMEDIATE,
                  PushType.ALERT))
          .whenComplete(
              (answer, error) -> {
                if (error != null || !answer.isAccepted()) {
                  refused.compareAndSet(null, error != null ? error : answer);
                }
                took[index] = System.nanoTime() - due;
                room.release();
              });
    }
    if (!room.tryAcquire(inFlight, 60, TimeUnit.SECONDS) || refused.get() != null) {
      System.err.println("not accepted: " + refused.get());
      System.exit(1);
    }
    if (rate > 0) {
      StringBuilder lines = new StringBuilder();
      for (long nanoseconds : took) {
        lines.append(nanoseconds / 1000).append('\n');
      }
      System.out.print(lines);
    }
    client.close().get();
    System.exit(0);
  }
}

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import software.amazon.event.ruler.Machine;

/**
 * What event-ruler makes of patterns and events: the reference that processor/filters is compared with.
 *
 * Reads JSON lines {"pattern": {...}, "event": {...}}, writes for each "yes", "no" or "refused".
 */
public final class Verdicts {
    public static void main(String[] arguments) throws Exception {
        ObjectMapper json = new ObjectMapper();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode question = json.readTree(line);
            out.println(verdict(question.get("pattern").toString(), question.get("event").toString()));
        }
    }

    private static String verdict(String pattern, String event) {
        try {
            Machine machine = new Machine();
            machine.addRule("rule", pattern);
            return machine.rulesForJSONEvent(event).isEmpty() ? "no" : "yes";
        } catch (Exception refused) {
            return "refused";
        }
    }
}

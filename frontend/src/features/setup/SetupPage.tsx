import SetupGuide from "./SetupGuide.tsx";

/** How do I point my app here? */
export default function SetupPage() {
  return <SetupGuide title="Connect your app" />;
}
